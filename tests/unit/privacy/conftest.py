from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from eyrie.privacy.engine import Analyzer


@pytest.fixture(scope="session")
def analyzer() -> "Analyzer":
    from eyrie.privacy.engine import load_analyzer

    return load_analyzer(REPOSITORY / "resources/privacy/analyzer.yaml")
