"""`eyrie recipe NAME`: make recipes/NAME.yaml the params.yaml of this checkout, without losing an edited one.

Both doors, DVC's record and every stage read params.yaml, so a recipe is copied there rather than read in its place.
What may be overwritten is what can be had again: a recipe, or the file of the latest commit.
"""

import subprocess
from pathlib import Path

from eyrie.io import write_text

RECIPES = Path("recipes")


def use_recipe(name: str, params: Path) -> bool:
    """Copy the recipe over `params`; False when it is there already. Raises ValueError: no such recipe, or an edited
    file in its way."""
    recipe = RECIPES / f"{name}.yaml"
    if not recipe.is_file():
        known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
        raise ValueError(f"{recipe}: no such recipe; there are {known or 'none here'}")
    text = recipe.read_text(encoding="utf-8")
    present = params.read_text(encoding="utf-8", errors="replace") if params.exists() else None
    if present == text:
        return False
    if present is not None and present not in (_committed(params), *_recipes()):
        raise ValueError(
            f"{params}: edited since the last commit, and {recipe} would replace it; commit it or move it away, or run "
            "without RECIPE to use it as it is"
        )
    write_text(params, text)
    return True


def _recipes() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in RECIPES.glob("*.yaml")]


def _committed(path: Path) -> str | None:
    """The file as the latest commit has it; None without a repository, or when it is not in it."""
    try:
        command = ["git", "show", f"HEAD:./{path}"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603
    except FileNotFoundError:
        return None
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None
