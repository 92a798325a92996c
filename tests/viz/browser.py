"""A browser that shows one page: what tests do with it, and what it says meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--window-size=1400,1000"
)


class Browser:
    """A browser with one page open, its messages and requests kept."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium")
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))

    def open(self, html: str, folder: Path) -> None:
        page = folder / "page.html"
        page.write_text(html, encoding="utf-8")
        self.driver.get(page.as_uri())
        WebDriverWait(self.driver, 20).until(
            lambda driver: self.js("return document.documentElement.dataset.ready ?? null")
        )

    def js(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def node(self, name: str, picture: str = "unfolded"):
        return self.find(f'#{picture} [data-id="{name}"]')

    def lit(self, kind: str, picture: str = "unfolded") -> set[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.dataset.id)"
        return set(self.js(script, f"#{picture} .node.{kind}"))

    def details(self) -> str:
        return self.find("#details").text

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def point_at(self, element) -> None:
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        webdriver.ActionChains(self.driver).move_to_element(element).perform()

    def click(self, selector: str) -> None:
        self.point_at(self.find(selector))
        self.find(selector).click()

    def messages(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]


def _program(name: str) -> str:
    return shutil.which(name) or name
