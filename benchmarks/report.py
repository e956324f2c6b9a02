"""Tables and pictures from the figures in results/: benchmarks/README.md between its markers, and pictures/.

python benchmarks/report.py
"""

import re
from pathlib import Path

import pictures
from results import load

README = Path(__file__).with_name("README.md")
OURS = "numpy_resnet"


def table(header, rows):
    """A table in Markdown; numbers stand to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def milliseconds(seconds):
    return f"{seconds * 1e3:.{0 if seconds > 0.1 else 1}f}"


def environment(content):
    told = content["environment"]
    return f"{told['cpu']}, {told['cores']} cores, {told['threads']} threads each; {told['date']}."


def fastest(figures):
    """(name, figures) of the fastest but us."""
    others = {name: entry for name, entry in figures.items() if name != OURS}
    return min(others.items(), key=lambda item: item[1]["median"]) if others else (None, None)


def network():
    content = load("network")
    rows, memory = [], []
    names = ["PyTorch", "PyTorch channels-last", "torch.compile", "ONNX Runtime", "OpenVINO", "JAX"]
    for row in content["rows"].values():
        figures = row["figures"]
        if OURS not in figures or "quartiles" not in figures[OURS]:
            continue
        ours, (name, best) = figures[OURS], fastest(figures)
        low, high = (milliseconds(value) for value in ours["quartiles"])
        cells = [milliseconds(figures[n]["median"]) if n in figures else "" for n in names]
        ratio = f"**{ours['median'] / best['median']:.2f}** ({name})" if best else ""
        rows.append([row["title"], f"{milliseconds(ours['median'])} ({low} to {high})", *cells, ratio])
        cells = [f"{figures[n]['memory']:.0f}" if n in figures else "" for n in names]
        memory.append([row["title"], f"{ours['memory']:.0f}", *cells])
    versions = {name: entry["version"] for row in content["rows"].values() for name, entry in row["figures"].items()
                if "version" in entry}  # fmt: skip
    versions = {"PyTorch": versions.get("PyTorch"), **{n: v for n, v in versions.items() if "orch" not in n}}
    told = "; ".join(f"{name} {version}" for name, version in versions.items() if version and "thread" not in name)
    parts = [
        environment(content) + f" {told}.",
        "Milliseconds, median of all iterations (ours with quartiles); the ratio is ours to the fastest of the others.",
        table(["", OURS, *names, "ours / fastest"], rows),
        "Memory, MB: peak resident memory less that after import.",
        table(["", OURS, *names], memory),
        table(["whole processes and threads", "s", "PyTorch, s", "ratio"], special(content["rows"])),
    ]
    return "\n\n".join(parts)


def special(rows):
    """What is measured on whole processes, and on ourselves alone."""
    lines = []
    if "start-up" in rows:
        ours, *theirs = (entry["median"] for entry in rows["start-up"]["figures"].values())
        peer = [f"{theirs[0]:.2f}", f"{ours / theirs[0]:.2f}"] if theirs else ["", ""]
        lines.append(["import and one prediction of resnet18, kernels cached", f"{ours:.2f}", *peer])
    if "first-step" in rows:
        seconds = rows["first-step"]["figures"][OURS]["median"]
        lines.append(["first training step ever, nothing compiled", f"{seconds:.1f}", "", ""])
    if "threads" in rows:
        one, two = (rows["threads"]["figures"][name]["median"] for name in ("1 thread", "2 threads"))
        lines.append(["training step, 1 thread", f"{one:.2f}", "", ""])
        lines.append(["training step, 2 threads", f"{two:.2f}", "", f"{one / two:.2f} times faster"])
    return lines


def layers():
    content = load("layers")
    roof = max(content["roof"].values())
    rows = []
    for entry in content["convolutions"]:
        figures, names = entry["figures"], ("im2col", "winograd", "PyTorch", "PyTorch channels-last")
        cells = [" / ".join(milliseconds(s) for s in figures[name]) if name in figures else "" for name in names]
        picked = figures[entry["picked"]]
        theirs = min(figures[name][1] for name in names[2:] if name in figures)
        share = entry["flops"] / picked[0] / roof
        rows.append([entry["name"], *cells, f"**{picked[1] / theirs:.2f}**", f"{share:.0%}"])
    others = []
    for entry in content["others"]:
        figures = entry["figures"]
        theirs = min(seconds[1] for name, seconds in figures.items() if name != OURS)
        cells = [" / ".join(milliseconds(s) for s in seconds) for seconds in figures.values()]
        others.append([entry["name"], *cells, f"**{figures[OURS][1] / theirs:.2f}**"])
    header = ["batch 16", "im2col", "winograd", "PyTorch", "channels-last", "ours / fastest", "share of the roof"]
    products = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in content["roof"].items())
    note = (
        f"Milliseconds, forward / forward and backward. The roof is the fastest large matrix product here, {products} "
        "GFLOP/s. The share counts what a direct convolution would compute, forward, with the algorithm that "
        "`ops.conv.pick` picks."
    )
    second = table(["batch 16", OURS, "PyTorch", "channels-last", "ours / fastest"], others)
    return "\n\n".join([environment(content), note, table(header, rows), second])


def teaching():
    content = load("teaching")
    names = list(content["rows"][0]["seconds"])
    rows = []
    for row in content["rows"]:
        ours = row["seconds"][OURS]
        cells = [f"{milliseconds(row['seconds'][name])} ({row['seconds'][name] / ours:.0f}x)" for name in names[1:]]
        rows.append([row["name"], milliseconds(ours), *cells])
    return environment(content) + "\n\n" + table(["forward and backward, ms", *names], rows)


def scaling():
    content = load("scaling")
    rows = []
    for axis, points in content["axes"].items():
        for point in points:
            figures = point["figures"]
            cells = []
            for name in (OURS, "PyTorch channels-last"):
                entry = figures.get(name)
                cells += [milliseconds(entry["median"]), f"{entry['memory']:.0f}"] if entry else ["", ""]
            rows.append([f"{axis} {point['value']}", *cells])
    base = content["base"]
    note = f"A training step of {base['model']}, {base['batch']}x3x{base['size']}x{base['size']}, one thing changed."
    header = ["", "ours, ms", "ours, MB", "PyTorch channels-last, ms", "MB"]
    return environment(content) + f" {note}\n\n" + table(header, rows)


def main():
    text = README.read_text(encoding="utf-8")
    for part in (network, layers, teaching, scaling):
        name = part.__name__
        if not load(name):
            print(f"no figures of {name} yet")
            continue
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
        text = re.sub(pattern, lambda found, part=part: f"{found[1]}\n{part()}\n\n{found[2]}", text, flags=re.DOTALL)
        pictures.draw(name, load(name))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
