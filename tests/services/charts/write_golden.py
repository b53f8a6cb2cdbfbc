"""Writes the golden files anew from the code: `python -m tests.services.charts.write_golden`."""

from tests.services.charts.test_values import ALL, GOLDEN, OFFLINE, written


def main() -> None:
    for name in ALL:
        (GOLDEN / f"{name}.yaml").write_text(written({}, name), "utf-8")
        (GOLDEN / f"{name}_offline.yaml").write_text(written(OFFLINE, name), "utf-8")


if __name__ == "__main__":
    main()
