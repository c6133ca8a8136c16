from tests.tidy.sizes import functions, modules, table


def test_the_longest_ten_are_shown_and_none_fails() -> None:
    for kind, sizes in (("functions", list(functions())), ("modules", list(modules()))):
        assert len(table(kind, sizes).splitlines()) == 11
