"""Every branch of every template is rendered by some sample: what no sample shows, nobody has looked at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes
from printing import everything

from coordinator.letters import environment as environments
from coordinator.letters.own import Own
from coordinator.letters.views.frame import Logo
from coordinator.letters.write import LetterRoom, load_letters


class Branches:
    """Which branches the templates have, and which were rendered."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.seen: set[str] = set()

    def reached(self, branch: str) -> str:
        self.seen.add(branch)
        return ""

    def mark(self, template: nodes.Template, name: str) -> None:
        """Put a mark into each branch; an `if` without an else gets one, so that its other side counts too."""
        later = {id(other) for one in template.find_all(nodes.If) for other in one.elif_}
        for node in list(template.find_all((nodes.If, nodes.For, nodes.CondExpr))):
            at = f"{name}:{node.lineno}"
            if isinstance(node, nodes.CondExpr):
                node.expr1 = self._both(node.expr1, f"{at} {_said(node.test)} ?")
                node.expr2 = self._both(node.expr2 or nodes.Const(""), f"{at} {_said(node.test)} :")
            elif isinstance(node, nodes.If):
                node.body.insert(0, self._output(f"{at} {_said(node.test)}"))
                if id(node) not in later:
                    node.else_.insert(0, self._output(f"{at} not {_said(node.test)}"))
            else:
                node.body.insert(0, self._output(f"{at} each {_said(node.iter)}"))
                if node.else_:
                    node.else_.insert(0, self._output(f"{at} no {_said(node.iter)}"))

    def _call(self, branch: str) -> nodes.Call:
        self.known.add(branch)
        return nodes.Call(nodes.Name("reached_", "load"), [nodes.Const(branch)], [], None, None)

    def _output(self, branch: str) -> nodes.Output:
        return nodes.Output([self._call(branch)])

    def _both(self, value: nodes.Expr, branch: str) -> nodes.Expr:
        return nodes.Or(self._call(branch), value)


def _said(test: nodes.Node) -> str:
    """Return a condition in short words, for the message."""
    names = [one.attr for one in test.find_all(nodes.Getattr)] or [one.name for one in test.find_all(nodes.Name)]
    if isinstance(test, nodes.Getattr):
        names.insert(0, test.attr)
    if isinstance(test, nodes.Name):
        names = [test.name]
    consts = [str(one.value) for one in test.find_all(nodes.Const)]
    return " ".join([*dict.fromkeys(names), *consts])


@pytest.fixture(scope="module")
def branches(templates) -> Iterator[tuple[Branches, LetterRoom]]:
    found = Branches()

    class Marked(Environment):
        def _generate(self, source, name, filename, defer_init=False):
            found.mark(source, str(name))
            return super()._generate(source, name, filename, defer_init=defer_init)

    patch = pytest.MonkeyPatch()
    patch.setattr(environments, "Environment", Marked)
    room = load_letters(templates)
    for env in (room._env, *(one.env for one in room._plain.values())):
        env.globals["reached_"] = found.reached
    yield found, room
    patch.undo()


def test_every_branch_of_every_template_is_rendered_by_a_sample(branches, templates: Path):
    found, room = branches
    for path in sorted(templates.rglob("*.html")):
        room._env.get_template(path.relative_to(templates).as_posix())
    words = {"name": "Lakeside", "lines": ["Suite of rooms"], "closing_line": "Thank you."}
    own = room.with_own(Own(words=words, logo=Logo("data:image/png;base64,AA==", "Lakeside", 40, 20)))
    for one in (room, own):
        for _ in everything(one):
            pass
    assert len(found.known) > 200
    missing = sorted(found.known - found.seen)
    assert not missing, "no sample renders:\n" + "\n".join(missing)


def test_a_branch_that_no_sample_reaches_is_found(branches):
    found, room = branches
    before = found.known - found.seen
    template = room._env.from_string("{% if one %}a{% else %}b{% endif %}{{ 'c' if one else 'd' }}")
    template.render(one=True)
    assert {one.split(" ", 1)[1] for one in (found.known - found.seen) - before} == {"not one", "one :"}
