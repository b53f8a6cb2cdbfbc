"""Writes the golden files anew from the code: `python -m tests.services.manifests.write_golden`."""

import yaml

from tests.services.conftest import with_services
from tests.services.manifests.test_manifests import ALL, GOLDEN


def main() -> None:
    settings = with_services()
    for name, manifests in ALL.items():
        text = yaml.safe_dump_all(manifests(settings, "1"), sort_keys=False, width=100)
        (GOLDEN / f"{name}.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
