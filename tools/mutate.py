"""Small changes of a function's syntax tree, one at a time: what a typing error or a slip of thought would make of it.

Each kind of node has its changes: a generator that takes the node and yields others to stand in its place.
"""

import ast
import copy
from itertools import combinations

_PAIRS = [pair.split() for pair in ("h w", "kh kw", "oh ow", "H W", "KH KW", "OH OW", "SH SW", "PH PW")]
PARTNERS = {**dict(_PAIRS), **{b: a for a, b in _PAIRS}}
CALLS = {"sum": "mean", "mean": "sum", "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum"}
CALLS |= {"zeros_like": "ones_like", "ones_like": "zeros_like", "zeros": "ones", "ones": "zeros"}
CALLS |= {"argmax": "argmin", "argmin": "argmax"}
TRANSPOSES = ("transpose", "swapaxes", "channels_last", "channels_first")
MASKS = ("keep",)
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


def mutants(function):
    """Every other text of this FunctionDef that one change makes, in a fixed order: [source]."""
    texts = [ast.unparse(function)]
    for i, node in enumerate(_body(function)):
        for k in range(len(list(changes(node)))):
            changed = copy.deepcopy(function)
            old = _body(changed)[i]
            new = list(changes(old))[k]
            texts.append(ast.unparse(ast.fix_missing_locations(_Replaced(old, new).visit(changed))))
    return [text for text in dict.fromkeys(texts[1:]) if text != texts[0] and _compiles(text)]


def difference(before, after):
    """The lines that differ, `before -> after`."""
    lines = zip(before.splitlines(), after.splitlines(), strict=True)
    return "; ".join(f"{old.strip()} -> {new.strip()}" for old, new in lines if old != new)


def changes(node):
    """All nodes that can stand in the place of this one."""
    for kind, function in CHANGES.items():
        if isinstance(node, kind):
            yield from function(node)


def _body(function):
    """Every node of the function but its name, its arguments, its docstring and what it says in an exception."""
    lines = function.body[ast.get_docstring(function) is not None :]
    nodes = [node for line in lines for node in ast.walk(line)]
    left_out = {part for node in nodes if isinstance(node, ast.Raise) for part in ast.walk(node)}
    minus = (node for node in nodes if isinstance(node, ast.UnaryOp))  # -1 and -2 often mean the same to NumPy
    left_out |= {node.operand for node in minus if isinstance(node.operand, ast.Constant)}
    return [node for node in nodes if node not in left_out]


def _compiles(text):
    try:
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


class _Replaced(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def _like(node, **fields):
    """The same node with other fields."""
    return type(node)(**{**{name: getattr(node, name, None) for name in node._fields}, **fields})


def _negative(node):
    return ast.UnaryOp(ast.USub(), node)


def _inverted(node):
    return ast.UnaryOp(ast.Invert(), node)


def _operation(node):
    """a + b: a, b, a - b; a * b: a, b, a / b; and so on."""
    yield node.left
    if isinstance(node.op, ast.Sub):
        yield _negative(node.right)
    elif isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield node.right
    if type(node.op) in SIGNS:
        yield _like(node, op=SIGNS[type(node.op)]())


def _updated(node):
    """x += y: x = y, x -= y, and nothing."""
    if type(node.op) in SIGNS:
        target = copy.deepcopy(node.target)
        yield ast.Assign([target], node.value, lineno=0)
        yield _like(node, op=SIGNS[type(node.op)]())
        yield ast.Pass()


def _called(node):
    """Another function, another axis, no transpose, no mask."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    if name in CALLS and (isinstance(node.func, ast.Attribute) or name in ("max", "min")):
        key = "attr" if isinstance(node.func, ast.Attribute) else "id"
        yield _like(node, func=_like(node.func, **{key: CALLS[name]}))
    if name in TRANSPOSES:
        yield node.func.value if isinstance(node.func, ast.Attribute) else node.args[0]
    if name == "where":
        mask, yes, no = node.args
        yield from (yes, no, _like(node, args=[_inverted(mask), yes, no]))
    for i, keyword in enumerate(node.keywords):
        if keyword.arg == "axis":
            for value in _other_axes(keyword.value):
                yield _like(node, keywords=[*node.keywords[:i], _like(keyword, value=value), *node.keywords[i + 1 :]])


def _other_axes(node):
    """One axis left out, or one more; all of them."""
    axes = [item.value for item in node.elts] if isinstance(node, ast.Tuple) else [node.value]
    sets = [[a for a in axes if a != axis] for axis in axes] + [sorted({*axes, more}) for more in range(4)]
    for chosen in (*sets, None):
        if chosen and chosen != axes:
            yield ast.Tuple([ast.Constant(axis) for axis in chosen], ast.Load())
        elif chosen is None:
            yield ast.Constant(None)


def _attribute(node):
    if node.attr == "T":
        yield node.value
    if node.attr in MASKS and isinstance(node.ctx, ast.Load):
        yield _inverted(node)


def _name(node):
    if node.id in PARTNERS and isinstance(node.ctx, ast.Load):
        yield _like(node, id=PARTNERS[node.id])
    if node.id in MASKS and isinstance(node.ctx, ast.Load):
        yield _inverted(node)


def _tuple(node):
    """Two of its names exchanged, where they are assigned."""
    if isinstance(node.ctx, ast.Store):
        yield from (_like(node, elts=elts) for elts in _exchanged(node.elts))


def _exchanged(items):
    """[items with two names exchanged, ...]"""
    for i, j in combinations(range(len(items)), 2):
        if isinstance(items[i], ast.Name) and isinstance(items[j], ast.Name):
            swapped = list(items)
            swapped[i], swapped[j] = items[j], items[i]
            yield swapped


def _indexed(node):
    if isinstance(node.slice, ast.Tuple):
        yield from (_like(node, slice=_like(node.slice, elts=elts)) for elts in _exchanged(node.slice.elts))


def _slice(node):
    """[a:b] -> [a+1:b+1], [::2] -> [1::2]"""
    moved = {n: ast.BinOp(e, ast.Add(), ast.Constant(1)) for n in ("lower", "upper") if (e := getattr(node, n))}
    if moved or node.step:
        yield _like(node, **(moved or {"lower": ast.Constant(1)}))


def _constant(node):
    """n: n + 1, and from 2 on n - 1; True: False."""
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        if node.value >= 1:
            yield ast.Constant(node.value - 1)


def _compared(node):
    for other in COMPARED.get(type(node.ops[0]), ()):
        yield _like(node, ops=[other(), *node.ops[1:]])
    for i, op in enumerate(node.ops[1:], 1):
        for other in COMPARED.get(type(op), ()):
            yield _like(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])


def _sign(node):
    yield node.operand


def _any_or_all(node):
    """One condition less."""
    for i in range(len(node.values)):
        rest = [value for k, value in enumerate(node.values) if k != i]
        yield _like(node, values=rest) if len(rest) > 1 else rest[0]


def _if(node):
    yield _like(node, test=ast.UnaryOp(ast.Not(), node.test))


def _returned(node):
    """The gradients in another order, and each with the other sign."""
    many = isinstance(node.value, ast.Tuple)
    items = node.value.elts if many else [node.value]
    for i, j in combinations(range(len(items)), 2):
        swapped = list(items)
        swapped[i], swapped[j] = items[j], items[i]
        yield _like(node, value=_like(node.value, elts=swapped))
    for i, item in enumerate(items):
        if isinstance(item, ast.Starred | ast.List | ast.Compare):
            continue
        turned = _like(item, orelse=_negative(item.orelse)) if isinstance(item, ast.IfExp) else _negative(item)
        yield _like(node, value=_like(node.value, elts=[*items[:i], turned, *items[i + 1 :]]) if many else turned)


CHANGES = {
    ast.BinOp: _operation,
    ast.AugAssign: _updated,
    ast.Call: _called,
    ast.Attribute: _attribute,
    ast.Name: _name,
    ast.Tuple: _tuple,
    ast.Subscript: _indexed,
    ast.Slice: _slice,
    ast.Constant: _constant,
    ast.Compare: _compared,
    ast.UnaryOp: _sign,
    ast.BoolOp: _any_or_all,
    ast.If: _if,
    ast.IfExp: _if,
    ast.Return: _returned,
}
