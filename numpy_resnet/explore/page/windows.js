// A window slides over a patch: what it sees becomes a column, the column a product; and the gradient goes the same way
// back. All sums are made here, from the numbers of the page, so they can be followed.
const TOY = {
  x: [
    [1, 0, 2, -1, 3],
    [0, 2, 1, 1, -2],
    [3, 1, -1, 0, 2],
    [-1, 0, 1, 4, 0],
    [2, -2, 0, 1, 1],
  ],
  weight: [
    [1, 0, -1],
    [2, 1, 0],
    [-1, 0, 1],
  ],
  dy: [1, -1, 2, 0, 1, 3, -2, 1],
};

// An exhibit like those of the page, on five by five whole numbers, with the kernel, stride and padding of one's choice.
function toyExhibit({ op, kernel, stride, padding }) {
  const size = TOY.x.length;
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const padded = size + 2 * padding;
  const range = (length) => Array.from({ length }, (_, i) => i);
  const outside = op === "maxpool2d" ? null : 0;
  const at = (r, c) => TOY.x[r - padding]?.[c - padding] ?? outside;
  return {
    op,
    kernel: [kernel, kernel],
    stride: [stride, stride],
    padding: [padding, padding],
    top: -padding,
    left: -padding,
    rows: range(out),
    columns: range(out),
    size: [size, size],
    x: range(padded).map((r) => range(padded).map((c) => at(r, c))),
    weight: TOY.weight.slice(0, kernel).map((row) => row.slice(0, kernel)),
    others: range(out).map(() => range(out).map(() => 0)),
    channels: 1,
    filters: 1,
    dy: range(out).map((r) => range(out).map((c) => TOY.dy[(3 * r + c) % TOY.dy.length])),
  };
}

// The windows in their order: where each lies in the patch, its values, what it gives.
function windowsOf(exhibit) {
  const [KH, KW] = exhibit.kernel;
  const [SH, SW] = exhibit.stride;
  const found = [];
  exhibit.rows.forEach((_, r) =>
    exhibit.columns.forEach((_, c) => {
      const cells = [];
      for (let kh = 0; kh < KH; kh++) for (let kw = 0; kw < KW; kw++) cells.push([r * SH + kh, c * SW + kw]);
      const column = cells.map(([i, j]) => exhibit.x[i][j]);
      found.push({
        r,
        c,
        cells,
        column,
        dy: exhibit.dy[r][c],
        ...(exhibit.op === "conv2d" ? product(exhibit, column, r, c) : winner(column)),
      });
    }),
  );
  return found;
}

function product(exhibit, column, r, c) {
  const weights = exhibit.weight.flat();
  const sum = column.reduce((total, value, k) => total + weights[k] * value, 0);
  return { sum, y: sum + exhibit.others[r][c] };
}

// The first of the largest; what lies outside (null) is minus infinity.
function winner(column) {
  let best = -1;
  column.forEach((value, k) => {
    if (value !== null && (best < 0 || value > column[best])) best = k;
  });
  return { best, y: column[best] };
}

// What has come back after some windows: dx and dweight, and how many windows each pixel got something from.
function scattered(exhibit, windows, count) {
  const zeros = (rows) => rows.map((row) => row.map(() => 0));
  const result = { dx: zeros(exhibit.x), times: zeros(exhibit.x), dweight: exhibit.weight && zeros(exhibit.weight) };
  for (const one of windows.slice(0, count)) {
    one.cells.forEach(([i, j], k) => {
      const [kh, kw] = [Math.floor(k / exhibit.kernel[1]), k % exhibit.kernel[1]];
      const share = exhibit.op === "conv2d" ? exhibit.weight[kh][kw] * one.dy : k === one.best ? one.dy : null;
      if (share === null) return;
      result.dx[i][j] += share;
      result.times[i][j] += 1;
      if (exhibit.op === "conv2d") result.dweight[kh][kw] += one.column[k] * one.dy;
    });
  }
  return result;
}
