"""What every serving backend must do, as a class of tests to inherit.

A subclass gives the fixtures `backend`, `servable` (one that can be served), `broken` (one whose
model cannot be loaded, with the words that its error must hold) and `timeout_seconds`.
"""

from dataclasses import replace

import pytest

from resources.errors import PermanentError
from resources.serving import Route, Servable, Served, ServingBackend, SlotState


def route_to(served: Served) -> Route:
    slot = served.slot
    return Route(slot.key, slot.digest, slot.url, slot.model_name)


class ServingContract:
    """Inherited by `Test…` classes; the real backends differ only in their fixtures."""

    def test_nothing_is_served_at_first(self, backend: ServingBackend) -> None:
        assert (backend.slots(), dict(backend.routes())) == ((), {})

    def test_a_served_checkpoint_has_a_ready_slot(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        served = backend.serve(servable, timeout_seconds=timeout_seconds)
        slot = served.slot
        assert (slot.state, slot.key, slot.digest, slot.model_name) == (
            SlotState.READY,
            servable.key,
            servable.digest,
            servable.name,
        )

    def test_the_slot_is_listed(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        served = backend.serve(servable, timeout_seconds=timeout_seconds)
        assert backend.slots() == (served.slot,)

    def test_the_phases_of_a_start_are_told(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        served = backend.serve(servable, timeout_seconds=timeout_seconds)
        assert min(served.phases.values()) >= 0
        assert "first_completion" in served.phases

    def test_serving_twice_uses_the_same_slot(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        first = backend.serve(servable, timeout_seconds=timeout_seconds)
        second = backend.serve(servable, timeout_seconds=timeout_seconds)
        assert (first.reused, second.reused, second.slot) == (False, True, first.slot)

    def test_another_digest_of_the_same_key_is_another_slot(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        other = replace(servable, digest="f" * 64)
        names = [
            backend.serve(each, timeout_seconds=timeout_seconds).slot.name
            for each in (servable, other)
        ]
        assert [slot.name for slot in backend.slots()] == sorted(names)

    def test_a_model_that_cannot_be_loaded_is_refused_with_its_own_words(
        self, backend: ServingBackend, broken: tuple[Servable, str], timeout_seconds: float
    ) -> None:
        servable, words = broken
        with pytest.raises(PermanentError, match=words):
            backend.serve(servable, timeout_seconds=timeout_seconds)

    def test_a_model_that_cannot_be_loaded_leaves_no_slot(
        self, backend: ServingBackend, broken: tuple[Servable, str], timeout_seconds: float
    ) -> None:
        with pytest.raises(PermanentError):
            backend.serve(broken[0], timeout_seconds=timeout_seconds)
        assert backend.slots() == ()

    def test_an_unknown_runtime_is_refused(
        self, backend: ServingBackend, servable: Servable
    ) -> None:
        with pytest.raises(PermanentError, match="no runtime"):
            backend.serve(replace(servable, runtime="abacus"), timeout_seconds=5)

    def test_a_released_slot_is_gone(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        name = backend.serve(servable, timeout_seconds=timeout_seconds).slot.name
        assert (backend.release(name), backend.slots()) == (True, ())

    def test_a_slot_that_may_still_be_ending_is_none_any_more_and_can_be_served_again(
        self, backend: ServingBackend, servable: Servable, timeout_seconds: float
    ) -> None:
        first = backend.serve(servable, timeout_seconds=timeout_seconds)
        assert backend.release(first.slot.name, confirm=False)
        assert backend.slots() == ()
        again = backend.serve(servable, timeout_seconds=timeout_seconds)
        assert (again.reused, again.slot.state) == (False, SlotState.READY)

    def test_releasing_what_is_not_there_says_so(self, backend: ServingBackend) -> None:
        assert not backend.release("slot-nothing")

    def test_a_route_is_there_once_it_is_put(self, backend: ServingBackend) -> None:
        route = Route("m.r.1", "d", "http://127.0.0.1:1", "m")
        backend.route("m", route)
        assert backend.routes() == {"m": route}

    def test_a_route_is_replaced_by_the_next(self, backend: ServingBackend) -> None:
        backend.route("m", Route("m.r.1", "d", "http://127.0.0.1:1", "m"))
        later = Route("m.r.2", "e", "http://127.0.0.1:2", "m")
        backend.route("m", later)
        assert backend.routes() == {"m": later}

    def test_endpoints_do_not_disturb_one_another(self, backend: ServingBackend) -> None:
        one = Route("m.r.1", "d", "http://127.0.0.1:1", "m")
        two = Route("n.r.1", "d", "http://127.0.0.1:2", "n")
        backend.route("m", one)
        backend.route("n", two)
        backend.route("m", None)
        assert backend.routes() == {"n": two}

    def test_closing_a_closed_endpoint_is_no_error(self, backend: ServingBackend) -> None:
        backend.route("m", None)
        assert backend.routes() == {}
