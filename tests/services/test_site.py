"""How a service is reached: by its name from a pod, through the API server from elsewhere."""

from pathlib import Path

import pytest

from cloud_assets.services.site import Site
from resources.errors import NeedsRepair
from tests.doubles.kubernetes import ApiServer
from tests.services.conftest import with_services


def test_inside_the_cluster_services_go_by_their_names() -> None:
    with Site.of(with_services()).reached("minio", 9000) as where:
        assert where == "minio.mlops.svc:9000"


def test_outside_it_goes_through_the_api_server(api_server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = api_server.kubeconfig(tmp_path)
    site = Site.of(with_services(kubernetes={"kubeconfig": kubeconfig}))
    with (
        pytest.raises(NeedsRepair, match="there is no such Service"),
        site.reached("minio", 9000),
    ):
        pytest.fail("it was opened")
    assert "GET /api/v1/namespaces/mlops/services/minio" in api_server.requests
