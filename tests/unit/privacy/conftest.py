import pytest

from eyrie.privacy.engine import Analyzer, load_analyzer
from tests.conftest import REPOSITORY


@pytest.fixture(scope="session")
def analyzer() -> Analyzer:
    return load_analyzer(REPOSITORY / "resources/privacy/analyzer.yaml")
