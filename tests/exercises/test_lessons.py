"""The course: each solved exercise gives a student's file, hints, a solution and a notebook."""

import ast
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet.exercises import EXERCISES, dev
from numpy_resnet.exercises.lessons import BEGIN, COURSE, END, Lesson, faults, from_notebook, split_cells, to_notebook

RAISE = "raise NotImplementedError"


@pytest.fixture(params=EXERCISES)
def exercise(request):
    return EXERCISES[request.param]


@pytest.fixture
def lesson(exercise):
    return exercise.lesson


def words(text):
    return " ".join(text.split())


def blocks(lesson):
    """What stands between the marks, a text for each pair of them."""
    found = re.findall(rf"{BEGIN}\n(.*?)\n *{END}", lesson.source, re.S)
    assert len(found) == lesson.source.count(BEGIN) == lesson.source.count(END) > 0
    return found


def texts(lesson, kind):
    return [cell.text for cell in lesson.cells if cell.kind == kind]


def functions(source):
    return {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}


def test_every_file_of_the_course_is_an_exercise():
    assert [exercise.file for exercise in EXERCISES.values()] == sorted(path.stem for path in COURSE.glob("*.py"))


def test_a_lesson_has_a_number_an_effort_three_hints_and_a_derivation(exercise, lesson):
    number, name = re.fullmatch(r"ex(\d\d)_(\w+)", exercise.file).groups()
    assert name == lesson.name == exercise.name
    assert re.match(rf"{int(number)}\. \w", lesson.title)
    difficulty, minutes = lesson.effort
    assert difficulty in ("Easy", "Medium", "Hard")
    assert 5 <= minutes <= 60
    assert len(lesson.hints) == 3
    assert all(len(hint) > 40 for hint in lesson.hints)
    assert all(len(text) > 100 for text in texts(lesson, "derivation"))
    assert texts(lesson, "derivation")


def test_no_hint_gives_a_solution_away(lesson):
    for block in blocks(lesson):
        assert not any(words(block) in hint for hint in lesson.hints)


def test_the_functions_are_those_with_something_to_write(lesson):
    marks = [i for i, line in enumerate(lesson.source.splitlines(), 1) if line.strip() == BEGIN]
    found = functions(lesson.source).items()
    assert lesson.functions == [name for name, f in found if any(f.lineno < mark <= f.end_lineno for mark in marks)]


def test_each_function_of_the_students_file_says_that_it_is_not_written(lesson):
    source = lesson.student_source()
    compile(source, lesson.name, "exec")
    found = functions(source)
    for name in lesson.functions:
        assert f"raise NotImplementedError('exercise {lesson.name}')" in ast.unparse(found[name])
    assert source.count(RAISE) == len(blocks(lesson))


def test_each_todo_stands_above_something_to_write(lesson):
    lines = [line.strip() for line in lesson.student_source().splitlines()]
    after_todo = [
        next(later for later in lines[i:] if not later.startswith("#"))
        for i, line in enumerate(lines)
        if line.startswith("# TODO")
    ]
    assert after_todo == [line for line in lines if line.startswith(RAISE)]


def test_the_students_file_gives_nothing_away(lesson):
    source = lesson.student_source()
    lines = {line.strip() for line in source.splitlines()}
    given = {line.strip() for line in re.sub(rf"{BEGIN}\n.*?{END}", "", lesson.source, flags=re.S).splitlines()}
    assert "### " not in source
    assert lines.isdisjoint(set(lesson.solution_lines()) - given)
    for cell in lesson.cells:
        if cell.kind in ("derivation", "hints"):
            assert lines.isdisjoint(line for line in cell.lines if len(line) > 20)
    for block in blocks(lesson):
        assert words(block) not in words(source)


def test_a_leak_would_be_seen(lesson):
    told = list(lesson.solution_lines())
    written = [line.strip() for block in blocks(lesson) for line in block.splitlines()]
    assert told
    assert set(told) <= set(written)
    assert all(line in told for line in written if len(line) > 50 and not line.startswith("#"))
    assert not any(line.startswith("#") or line in (BEGIN, END) for line in told)


def test_the_solved_file_is_the_students_with_the_blocks_in_place(lesson):
    source = lesson.solved_source()
    compile(source, lesson.name, "exec")
    assert BEGIN not in source and END not in source and RAISE not in source
    for block in blocks(lesson):
        assert block in source
        source = source.replace(block, re.match(" *", block)[0] + f'{RAISE}("exercise {lesson.name}")', 1)
    assert source == lesson.student_source()


def test_the_solution_has_what_was_to_be_written_and_why(lesson):
    solution = lesson.solution()
    assert BEGIN not in solution and END not in solution
    for text in [*blocks(lesson), *texts(lesson, "derivation")]:
        assert text in solution
    for name in lesson.functions:
        assert f"def {name}(" in solution


def test_the_example_by_hand_agrees_with_the_solution(exercise):
    assert dev.example_fails(exercise) == ""


def test_the_example_by_hand_disagrees_with_anything_else(monkeypatch):
    wrong = {name: source.replace("x > 0", "x < 0") for name, source in dev.solved().items()}
    for files, said in ((wrong, "DESIRED"), (dev.blank(), "NotImplementedError: exercise relu")):
        monkeypatch.setattr(dev, "solved", lambda files=files: files)
        assert said in dev.example_fails(EXERCISES["relu"])


SMALL = '''\
# %% [markdown]
# # 7. Twice
#
# *Easy · 5 minutes*

# %%
import math

# %%
def twice(x, often=1):
    """2x, so many times."""
    if often == 0:
        return x
    # TODO: once
    ### BEGIN SOLUTION
    doubled_already = x + x
    ### END SOLUTION
    # TODO: and again
    ### BEGIN SOLUTION
    # not so easy
    x = 2 * x
    return twice(doubled_already, often - 1)
    ### END SOLUTION

# %% [markdown] derivation
# x + x is 2x.
#
# - So is 2x.

# %% [markdown] hints
# 1. It is more
#    than once.
# 2. x + x
# 3. A number.
'''

STUDENTS = '''\
# %% [markdown]
# # 7. Twice
#
# *Easy · 5 minutes*

# %%
import math

# %%
def twice(x, often=1):
    """2x, so many times."""
    if often == 0:
        return x
    # TODO: once
    raise NotImplementedError("exercise twice")
    # TODO: and again
    raise NotImplementedError("exercise twice")
'''


def test_a_small_lesson_by_hand():
    lesson = Lesson("twice", SMALL)
    assert lesson.title == "7. Twice"
    assert lesson.effort == ("Easy", 5)
    assert lesson.hints == ["It is more than once.", "x + x", "A number."]
    assert lesson.functions == ["twice"]
    assert list(lesson.solution_lines()) == ["doubled_already = x + x", "return twice(doubled_already, often - 1)"]
    assert lesson.student_source() == STUDENTS
    space = {}
    exec(lesson.solved_source(), space)
    assert space["twice"](3, 2) == 12
    assert lesson.solution().startswith("def twice(x, often=1):")
    assert lesson.solution().endswith("x + x is 2x.\n\n- So is 2x.\n")


WHOLE = SMALL + '\n# %%\nif __name__ == "__main__":\n    assert twice(3) == 6\n'


def test_the_course_has_no_faults(exercise, lesson):
    assert list(faults(exercise.file, lesson.source)) == []
    assert list(faults("ex07_twice", WHOLE)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("# # 7. Twice", "# # 8. Twice", "the first cell must have a title, `# # 7. Name"),
        ("*Easy · 5 minutes*", "*Simple · 5 minutes*", "under the title must stand"),
        ("[markdown] hints", "[markdown] hint", "a cell is called 'hint'"),
        ("# %% [markdown] hints", "# %% [markdown]", "there must be one cell `# %% [markdown] hints`"),
        ("# %% [markdown] derivation", "# %% [markdown]", "one `# %% [markdown] derivation` at least"),
        (f"    {END}\n\n", "\n", "must take turns; there are ### BEGIN SOLUTION, ### END SOLUTION, ### BEGIN SOLUTION"),
        ('if __name__ == "__main__":', "if True:", "at the end must stand the example by hand"),
    ],
)
def test_a_fault_of_form_is_told(old, new, told):
    assert WHOLE.count(old) == 1
    assert told in " ".join(faults("ex07_twice", WHOLE.replace(old, new)))


def parts(source):
    return [(cell.kind, cell.code) for cell in split_cells(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("\n\n", []),
        ("x = 1\n", [("code", "x = 1")]),
        ("# %%\nx = 1\n\n\ny = 2\n", [("code", "x = 1\n\n\ny = 2")]),
        ("x = 1\n# %%\ny = 2", [("code", "x = 1"), ("code", "y = 2")]),
        ("# %% [markdown]\n# # A\n#\n# b\n", [("markdown", "# # A\n#\n# b")]),
        ("# %%\n\n# %%\n\n# %% [markdown]\n# %%\nx\n", [("code", "x")]),
        (
            "# %% [markdown] hints\n# 1. a\n# %% [markdown] derivation\n# b",
            [("hints", "# 1. a"), ("derivation", "# b")],
        ),
        ("    # %% no head\n# % neither\n", [("code", "    # %% no head\n# % neither")]),
    ],
)
def test_cells_are_split(source, expected):
    assert parts(source) == expected


def test_markdown_loses_its_comment_signs_and_nothing_else():
    (cell,) = split_cells("# %% [markdown]\n\n# # A\n#\n#     indented # and not\n#b\n\n")
    assert cell.text == "# A\n\n    indented # and not\nb"


SIGNS = st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])
LINE = st.text(SIGNS, max_size=12).filter(lambda line: not re.match(r"# %%|\s*###|\s*[%!]", line))
SAYS = LINE.filter(str.strip)  # the first and the last line of a cell: what is blank there is not kept
BODY = st.tuples(SAYS, st.lists(LINE, max_size=3), SAYS).map(lambda b: [b[0], *b[1], b[2]])
CELLS = st.lists(st.tuples(st.sampled_from(["code", "markdown", "derivation", "hints"]), BODY, BODY | st.none()))
HEADS = {"code": "# %%", "markdown": "# %% [markdown]", "derivation": "# %% [markdown] derivation"}


@given(CELLS)
def test_any_cells_survive(cells):
    lines, solved, student = [], [], []
    for kind, body, block in cells:
        block = block if kind == "code" else None
        lines += [HEADS.get(kind, "# %% [markdown] hints"), *body, *([BEGIN, *block, END] if block else []), ""]
        if kind in ("code", "markdown"):
            solved.append((kind, "\n".join([*body, *(block or [])])))
            student.append((kind, "\n".join([*body, *([f'{RAISE}("exercise any")'] if block else [])])))
    lesson = Lesson("any", "\n".join(lines))
    assert [(cell.kind, body) for cell, (_, body, _) in zip(lesson.cells, cells, strict=True)] == [
        (kind, body) for kind, body, _ in cells
    ]
    assert parts(lesson.solved_source()) == solved
    assert parts(lesson.student_source()) == student
    code = "\n\n\n".join(text for kind, text in solved if kind == "code")
    assert from_notebook(to_notebook(lesson.solved_source())) == code + "\n"


def test_a_notebook_is_one(lesson):
    source = lesson.student_source()
    notebook = json.loads(to_notebook(source))
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) == len(list(split_cells(source)))
    for cell, written in zip(notebook["cells"], split_cells(source), strict=True):
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert cell["cell_type"] == written.kind
        assert cell["metadata"] == {}
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        text = "".join(cell["source"])
        if written.kind == "code":
            assert set(cell) == {"cell_type", "id", "metadata", "source", "execution_count", "outputs"}
            assert (cell["execution_count"], cell["outputs"]) == (None, [])
            assert text == written.code
        else:
            assert set(cell) == {"cell_type", "id", "metadata", "source"}
            assert "\n".join(f"# {line}".rstrip() for line in text.split("\n")) == written.code


def test_a_notebook_is_the_same_program(lesson):
    for source in (lesson.student_source(), lesson.solved_source()):
        again = from_notebook(to_notebook(source))
        assert ast.dump(ast.parse(again)) == ast.dump(ast.parse(source))


def notebook(*sources):
    return json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("%matplotlib inline\nx = 7 % 4", "x = 7 % 4"),
        ("!pip install numpy\nx = 1", "x = 1"),
        ("%%time\nx = 1", "x = 1"),
        ("if True:\n    %time y = 1\nx = 1", "if True:\n    pass\nx = 1"),
        (["x = 1\n", "y = '%d' % x"], "x = 1\ny = '%d' % x"),
        ("x = (\n    '%d'\n    % 3\n)", "x = '%d' % 3"),
    ],
)
def test_lines_for_ipython_are_left_out(source, expected):
    found = [node for node in ast.parse(from_notebook(notebook(source))).body if not isinstance(node, ast.Pass)]
    assert [ast.unparse(node) for node in found] == [ast.unparse(node) for node in ast.parse(expected).body]


def test_text_outputs_and_other_cells_of_a_notebook_are_no_code():
    cells = [
        {"cell_type": "markdown", "source": "x = 1"},
        {"cell_type": "code", "source": "y = 2", "outputs": [{"text": "z = 3"}]},
        {"cell_type": "raw", "source": "x = 4"},
    ]
    assert from_notebook(json.dumps({"cells": cells})) == "y = 2\n"


NONE = [
    "",
    "x = 1",
    "3",
    "null",
    "[]",
    "{}",
    '{"cells": 3}',
    '{"cells": null}',
    '{"cells": [1]}',
    '{"cells": {"a": 1}}',
]
NONE += [
    '{"cells": [{"cell_type": "code"}]}',
    '{"cells": [{"source": ""}]}',
    notebook(5),
    notebook([1]),
    notebook(None),
]


@pytest.mark.parametrize("text", [*NONE, pytest.param("[" * 100_000, id="deep")])
def test_what_is_no_notebook_is_refused(text):
    with pytest.raises(ValueError, match="this is no notebook"):
        from_notebook(text)
