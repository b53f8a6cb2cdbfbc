"""Helm charts on one cluster: rendered, compared, installed or upgraded as a whole, uninstalled."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.helm import command, manifests
from resources.helm.release import Installation, Release
from resources.kubernetes.changes import Change
from resources.kubernetes.reference import Object

_NOT_FOUND = "release: not found"
_DRY = ("--dry-run=server", "--hide-notes")
#: Revisions that stay to go back to.
_HISTORY = 5


class Helm:
    """The `helm` command on the cluster of a kubeconfig, or on that which this process runs in.

    Every method raises TransientError where trying again may help, NeedsRepair where helm, the
    cluster or a right is missing, else PermanentError; each with helm's last words, and without
    the values whose keys speak of secrets.
    """

    def __init__(
        self,
        kubeconfig: Path | None = None,
        *,
        context: str | None = None,
        program: Path | None = None,
    ) -> None:
        self._given = program
        self._cluster = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
        self._cluster += ["--kube-context", context] if context else []

    def render(self, wanted: Installation) -> list[Object]:
        """The chart's objects with its definitions of kinds, without asking any cluster."""
        action = f"render {wanted.chart}"
        words = ["template", wanted.release, *wanted.chart.words, "--include-crds"]
        words += ["--namespace", wanted.namespace]
        return manifests.documents(self._run(words, action, values=wanted.values), action)

    def definitions(self, wanted: Installation) -> list[Object]:
        """The definitions of kinds that the chart keeps apart: helm makes them once, never anew.

        A cluster without them cannot foresee anything of the chart.
        """
        action = f"look into {wanted.chart}"
        return manifests.documents(self._run(["show", "crds", *wanted.chart.words], action), action)

    def planned(self, wanted: Installation) -> list[Object]:
        """The objects that `install_or_upgrade` would apply on this cluster, whoever has them now.

        Those of `definitions` are not among them.
        """
        action = f"plan {wanted.chart}"
        told = self._upgrade(replace(wanted, adopts=True), action, _DRY)
        return manifests.documents(str(told["manifest"]), action)

    def diff(self, wanted: Installation) -> list[Change]:
        """What `install_or_upgrade` would change of the release as it was applied last.

        What others changed in the cluster meanwhile is not seen; nor are definitions of kinds,
        which helm never upgrades.
        """
        action = f"compare {wanted.chart} with {wanted.release}"
        told = self._upgrade(wanted, action, _DRY)
        return manifests.changes(
            self.applied(wanted.release, wanted.namespace),
            manifests.documents(str(told["manifest"]), action),
        )

    def install_or_upgrade(
        self, wanted: Installation, *, timeout_seconds: float = 300.0, always: bool = False
    ) -> list[Change]:
        """Make the release what is wanted and wait until all of it is ready; what changed.

        It succeeds as a whole or leaves what was there before: a failed upgrade is rolled back, a
        failed first installation removed, unless it `keeps` or `adopts`: then it is gone on with
        the next time. Where nothing differs nothing is done, unless `always`, which also puts right
        what others changed. A release that a killed helm left half-way is taken back first, once
        that helm cannot be at work any more.
        """
        action = f"install {wanted.chart} as {wanted.namespace}/{wanted.release}"
        found = self.settled(wanted, timeout_seconds=timeout_seconds)
        planned = self.diff(wanted)
        if planned or always or found is None or found.status != "deployed":
            limit = _seconds(timeout_seconds)
            undone = found is not None and found.status == "deployed" and not wanted.adopts
            whole = ["--atomic", "--cleanup-on-fail"]
            whole = whole if undone or not _stays(wanted) else ["--wait"]
            whole += ["--wait-for-jobs", "--timeout", limit]
            more = ["--create-namespace", "--history-max", str(_HISTORY)]
            self._upgrade(wanted, action, [*whole, *more], timeout_seconds=timeout_seconds)
        return planned

    def settled(self, wanted: Installation, *, timeout_seconds: float = 300.0) -> Release | None:
        """The release as `status` gives it, once what a killed helm left of it is taken back."""
        found = self.status(wanted.release, wanted.namespace)
        if found is None or not found.is_under_way:
            return found
        self._take_back(found, wanted, timeout_seconds=timeout_seconds)
        return self.status(wanted.release, wanted.namespace)

    def status(self, release: str, namespace: str) -> Release | None:
        """The newest revision of a release, None where there is none."""
        words = ["get", "metadata", release, "--namespace", namespace, "--output", "json"]
        found = self._unless_missing(words, f"look at {namespace}/{release}")
        return None if found is None else Release.of(json.loads(found))

    def applied(self, release: str, namespace: str) -> list[Object]:
        """The objects of the newest revision as helm sent them; none where there is none."""
        action = f"look at {namespace}/{release}"
        words = ["get", "manifest", release, "--namespace", namespace]
        return manifests.documents(self._unless_missing(words, action) or "", action)

    def values(self, release: str, namespace: str) -> dict[str, Any] | None:
        """What the newest revision was given on top of its chart's own, None where there is none.

        They may hold secrets.
        """
        words = ["get", "values", release, "--namespace", namespace, "--output", "json"]
        found = self._unless_missing(words, f"look at {namespace}/{release}")
        return None if found is None else dict(json.loads(found) or {})

    def uninstall(self, release: str, namespace: str, *, timeout_seconds: float = 300.0) -> bool:
        """Whether there was something to remove; returns once its objects are gone."""
        words = ["uninstall", release, "--namespace", namespace, "--wait"]
        words += ["--cascade", "foreground", "--timeout", _seconds(timeout_seconds)]
        action = f"uninstall {namespace}/{release}"
        return self._unless_missing(words, action, timeout_seconds) is not None

    def _upgrade(
        self,
        wanted: Installation,
        action: str,
        options: Sequence[str],
        *,
        timeout_seconds: float = 120.0,
    ) -> dict[str, Any]:
        words = ["upgrade", wanted.release, *wanted.chart.words, "--install", "--reset-values"]
        words += ["--namespace", wanted.namespace, "--output", "json", *options]
        words += ["--take-ownership"] if wanted.adopts else []
        told = self._run(
            [*words, *self._cluster], action, values=wanted.values, timeout_seconds=timeout_seconds
        )
        found: dict[str, Any] = json.loads(told)
        return found

    def _take_back(self, found: Release, wanted: Installation, *, timeout_seconds: float) -> None:
        """Raises TransientError while another helm may still be at work, NeedsRepair where taking
        the release back would take along what cannot be made again.
        """
        action = f"take back {wanted.namespace}/{wanted.release}"
        age = (datetime.now(UTC) - found.deployed_at).total_seconds()
        if age < timeout_seconds:
            reason = f"another operation is under way since {age:.0f} s ({found.status})"
            raise TransientError("Helm", action, reason)
        if found.revision == 1 and _stays(wanted):
            record = f"sh.helm.release.v1.{found.name}.v1"
            hint = f"`kubectl delete secret -n {found.namespace} {record}` makes helm begin anew"
            reason = (
                "its first installation was killed, and removing it would remove what it adopts"
            )
            raise NeedsRepair("Helm", action, reason, hint=hint)
        if found.revision == 1 or found.status == "uninstalling":
            self.uninstall(found.name, found.namespace, timeout_seconds=timeout_seconds)
            return
        words = ["rollback", found.name, "--namespace", found.namespace, "--wait"]
        words += ["--cleanup-on-fail", "--timeout", _seconds(timeout_seconds), *self._cluster]
        self._run(words, action, timeout_seconds=timeout_seconds)

    def _unless_missing(
        self, words: list[str], action: str, timeout_seconds: float = 120.0
    ) -> str | None:
        try:
            return self._run([*words, *self._cluster], action, timeout_seconds=timeout_seconds)
        except PermanentError as error:
            if _NOT_FOUND in error.reason:
                return None
            raise

    def _run(
        self,
        words: list[str],
        action: str,
        *,
        values: Mapping[str, Any] | None = None,
        timeout_seconds: float = 120.0,
    ) -> str:
        return command.run(
            self._program, words, action=action, values=values, timeout_seconds=timeout_seconds
        )

    @cached_property
    def _program(self) -> Path:
        return command.program(self._given)


def _stays(wanted: Installation) -> bool:
    """Whether a failure must leave in place what the release has made or taken over."""
    return wanted.keeps or wanted.adopts


def _seconds(count: float) -> str:
    return f"{max(1, round(count))}s"
