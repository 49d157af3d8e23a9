"""Takes the pictures in docs/images from a running Dagster UI. For maintainers.

In a new folder with this project's workspace.yaml and dagster.yaml: `clone-pipeline demo`, then
`dagster dev -h 127.0.0.1 -p 3000` with a `CLONE_POLICIES` that has a backup `nightly`, a refresh
`staging` on change, and a mistake. Launch a tick of `nightly`, and `test_restore` for it. In a
virtual environment of its own: `pip install playwright`, then `python docs/screenshots.py`. Look at
each picture before you commit it.
"""

import argparse
import re
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).parent / "images"
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
FORM = """\
namespace_identifier: cloud_api_docs
namespace_name: cloud_api_docs_staging
include_resources:
  collections: true
  retrievers: true
  taxonomies: true
if_exists: replace
verify: full
"""
ASSET = "/assets/clone/org_demo/cloud_api_docs_staging"
BACKUPS = "/assets/clone/org_demo/nightly"


def save(page: Page, name: str, height: int = 900) -> None:
    page.set_viewport_size({"width": 1400, "height": height})
    page.mouse.move(700, 5)  # no tooltips
    page.wait_for_timeout(1000)  # the page lays itself out again, and plots are animated
    page.screenshot(path=IMAGES / f"{name}.png")


def fill_form(page: Page, url: str) -> None:
    page.goto(f"{url}/locations/clone_pipeline/jobs/clone_namespace/playground")
    page.get_by_role("button", name="Launch Run").wait_for()
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(FORM)
    expect(page.get_by_text("No errors")).to_be_visible()
    expect(page.get_by_role("button", name="Launch Run")).to_be_enabled()


def launch(page: Page) -> str:
    """Launches the run, waits for its end and returns its page's address."""
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"))
    page.get_by_text("RUN_SUCCESS").wait_for(timeout=120_000)
    return str(page.url).partition("?")[0]


def open_output(page: Page, run: str, step: str) -> None:
    """Shows the metadata of a step's output, unfolded."""
    page.goto(f"{run}?logs=step%3A{step}")
    page.get_by_text("STEP_SUCCESS").wait_for()
    page.get_by_role("button", name="View full message").last.click()
    page.get_by_role("button", name="Done").wait_for()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        fill_form(page, options.url)
        save(page, "launchpad")
        run = launch(page)
        page.goto(f"{run}?logs=step%3Aplan_clone")
        page.get_by_text("STEP_SUCCESS").wait_for()
        save(page, "run")
        open_output(page, run, "copy_points")
        save(page, "copy_points")
        open_output(page, run, "publish_clone")
        save(page, "publish_clone", height=1150)
        page.goto(f"{options.url}/locations/clone_pipeline/jobs/clone_namespace/runs")
        page.get_by_text("Success").nth(1).wait_for()  # the one of `demo`, and this one
        save(page, "job_runs", height=500)
        page.goto(options.url + ASSET)
        page.get_by_role("button", name="Plots").click()
        page.get_by_text("points", exact=True).wait_for()
        page.get_by_text("Metadata", exact=True).first.scroll_into_view_if_needed()
        save(page, "asset_plots", height=1560)
        page.goto(options.url + BACKUPS)
        page.get_by_text("Freshness policy").first.wait_for()
        save(page, "backup_asset")
        page.goto(f"{options.url}/automation")
        page.get_by_text("staging_refresh_staging").wait_for()
        save(page, "automation")
        page.goto(f"{options.url}/locations/clone_pipeline/sensors/staging_refresh_staging")
        page.get_by_text("1 run requested").first.wait_for(timeout=120_000)
        save(page, "refresh_sensor")
        browser.close()


if __name__ == "__main__":
    main()
