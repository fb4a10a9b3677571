#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Drives the page in headless Chromium against the real web and worker processes: the whole story of one attendee, and the
error paths. Usage: browser_test.py CONFERENCE (--sqlite SEND_MESSAGE | --service-bus MAIN_MJS) [--screenshots FOLDER]

Exits with 77 (skipped) where Chromium, ChromeDriver, Selenium, or what the queue needs, is not installed.
"""

import argparse
import glob
import os
import re
import shutil
import sys
import tempfile
import time

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    print("skipped: Selenium for Python is not installed")
    sys.exit(77)

from conference_process import Conference
from conference_queue import add_queue_options, open_queue, skip_without_programs

SECONDS = 20


class Page:
    def __init__(self, conference, screenshots):
        options = Options()
        options.binary_location = shutil.which("chromium")
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                     "disable-background-networking", "disable-component-update", "disable-sync",
                     "disable-dev-shm-usage", "window-size=1280,1000"):
            options.add_argument("--" + flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.profile = tempfile.TemporaryDirectory(prefix="conference-browser-")
        options.add_argument("--user-data-dir=" + self.profile.name)
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.conference = conference
        self.screenshots = screenshots

    def close(self):
        self.driver.quit()
        self.profile.cleanup()

    def open(self, hash=""):
        self.driver.get(self.conference.url + "/" + hash)

    def find(self, name):
        return self.driver.find_element(By.CSS_SELECTOR, f'[data-testid="{name}"]')

    def text(self, name):
        return self.find(name).text.strip()

    def wait(self, condition, what):
        def quiet(_):
            try:
                return condition()
            except Exception as error:
                if "stale element" in str(error) or "no such element" in str(error):
                    return False
                raise
        WebDriverWait(self.driver, SECONDS, 0.05).until(quiet, f"{what}\n{self.conference.log('web')}")

    def wait_text(self, name, wanted):
        try:
            self.wait(lambda: self.find(name).is_displayed() and wanted in self.text(name), "")
        except Exception as error:
            raise AssertionError(f"{name}: expected '{wanted}', found '{self.text(name)}'") from error

    def type(self, name, text):
        field = self.find(name)
        field.clear()
        field.send_keys(text)

    def click(self, name):
        button = self.find(name)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
        button.click()

    def submit(self, field, text, button):
        self.type(field, text)
        self.click(button)

    def events(self):
        items = self.driver.find_elements(By.CSS_SELECTOR, '[data-testid="timeline"] li[data-event-type]')
        return [(item.get_attribute("data-event-type"), int(item.get_attribute("data-version"))) for item in items]

    def wait_events(self, *types):
        wanted = [(kind, number + 1) for number, kind in enumerate(types)]
        self.wait(lambda: self.events() == wanted, f"expected events {wanted}, found {self.events()}")

    def attendee(self):
        """Id of the registration that is shown: the key in its link."""
        link = self.find("registration-link").get_attribute("value")
        assert link.startswith(self.conference.url + "/#registration="), link
        return link.split("=")[1]

    def wait_in_view(self, *names):
        """Waits until the elements are on the screen, with nothing over them."""
        for name in names:
            self.wait(lambda: self.driver.execute_script("""
                const {left, right, top, bottom} = arguments[0].getBoundingClientRect();
                const seen = (y) => arguments[0].contains(document.elementFromPoint((left + right) / 2, y));
                return seen(top + 1) && seen(bottom - 1);""", self.find(name)), f"{name} is not in view")

    def answer_once(self, status, retry_after):
        """Answers the page's next request in place of the server, which gets the others."""
        self.driver.execute_script("""
            const [status, seconds] = arguments, real = window.fetch;
            window.fetch = async () => {
                window.fetch = real;
                return new Response('{}', {status, headers: {'Retry-After': seconds}});
            };""", status, retry_after)

    def picture(self, name):
        if self.screenshots:
            self.driver.save_screenshot(os.path.join(self.screenshots, name + ".png"))

    def check_console(self):
        """Refused requests are logged by the browser itself; anything else is a defect of the page."""
        entries = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        unexpected = [text for text in entries if "Failed to load resource" not in text and "net::ERR_" not in text]
        assert not unexpected, unexpected


def check_words(page):
    """What a visitor reads has no words of developers and no ids; those are in parts that are closed, and say for whom they are."""
    found = page.driver.execute_script("""
        const developers = [...document.querySelectorAll('details.developers')];
        const parts = document.querySelectorAll('#register, #my-registration, #view-confirmation, dialog, #connection, footer');
        const text = [...parts].map((part) => {
            const words = part.cloneNode(true);
            words.querySelectorAll('.developers').forEach((details) => details.remove());
            return words.textContent;
        }).join(' ');
        return {open: developers.map((details) => details.open),
                summaries: developers.map((details) => details.firstElementChild.textContent), text};""")
    assert len(found["open"]) >= 2 and not any(found["open"]), found
    assert set(found["summaries"]) == {"For developers"}, found
    text = found["text"].replace("a C++ library for CQRS and event sourcing", "")  # says what the page is made for
    assert "Your seat" in text, text
    talk = re.findall(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-\S*|\battendee\w*|\w*email(?:change|confirm)\w*|\bid=\S*|\b(?:event|stream|store|queue|"
                      r"projection|read model|aggregate|command|version|position|json|http|api|null|undefined|nan|"
                      r"idempotency|202|503)s?\b", text)
    assert not talk, (talk, text)


def mail_to(conference, recipient, link="confirm"):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for path in glob.glob(os.path.join(conference.mail_folder, "*.eml")):
            with open(path) as file:
                text = file.read()
            if recipient in text:
                return text, re.search(rf"(#{link}=([0-9a-f-]{{36}}))\s", text)
        time.sleep(0.05)
    raise AssertionError(f"no mail to {recipient}")


def attendee_story(page):
    page.open()
    page.picture("1-landing")

    # What the server refuses is shown next to the field, and the field has the focus.
    page.submit("register-email", "not-an-address", "register-submit")
    page.wait_text("register-error", "@")
    field = page.find("register-email")
    assert field.get_attribute("aria-invalid") == "true"
    assert page.driver.switch_to.active_element == field
    page.picture("2-register-error")

    # By keyboard alone.
    field.clear()
    field.send_keys("  ada@example.org  ", Keys.ENTER)
    page.wait_text("attendee-status", "Registered")
    page.wait_text("attendee-email", "ada@example.org")
    page.wait_events("AttendeeRegistered")
    page.wait_in_view("my-title", "registration-notice")
    assert not page.find("confirm-form").is_displayed(), "there is nothing to confirm yet"
    check_words(page)
    page.picture("3-registered")

    page.submit("new-email", "ada@example.org", "change-email-submit")
    page.wait_text("change-email-error", "already in use")

    page.submit("new-email", "lovelace@example.net", "change-email-submit")
    page.wait_text("attendee-pending-email", "lovelace@example.net")
    page.wait_text("attendee-email", "ada@example.org")
    page.wait_events("AttendeeRegistered", "EmailChangeRequested")

    page.submit("confirmation-id", "00000000-0000-4000-8000-000000000000", "confirm-submit")
    page.wait_text("confirm-error", "not the confirmation id")
    check_words(page)
    page.submit("confirmation-id", "not an id", "confirm-submit")
    page.wait(lambda: page.text("confirm-error") and "not the confirmation id" not in page.text("confirm-error"),
              "another error for what is not an id")
    page.picture("4-confirm-error")

    mail, link = mail_to(page.conference, "lovelace@example.net")
    attendee = page.attendee()
    assert link[2] not in page.driver.page_source, "the page shows the confirmation id"
    assert attendee not in mail, "the mail hands over the registration"

    # A link confirms nothing by being opened: its page has a button for that.
    page.open("#confirm=" + link[2][:-1])
    page.wait_text("confirmation-notice", "1 of the last 36 characters are missing")
    page.open("#confirm=" + attendee)
    page.wait_text("confirmation-notice", "not known here")
    page.open(link[1])
    page.wait_text("confirmation-email", "lovelace@example.net")
    page.picture("5-confirm")
    status, view = page.conference.request("GET", f"/api/attendee/{attendee}")
    assert (status, view["email"], view["version"]) == (200, "ada@example.org", 2), view
    page.click("confirmation-submit")
    page.wait_text("confirmation-notice", "Your new address is confirmed: lovelace@example.net")
    assert not page.find("confirmation-submit").is_displayed()
    page.picture("5-confirmed")
    page.open()
    page.wait_text("attendee-email", "lovelace@example.net")
    page.wait_events("AttendeeRegistered", "EmailChangeRequested", "EmailChangeConfirmed")
    assert not page.find("attendee-pending-email").is_displayed()
    assert not page.find("confirm-form").is_displayed(), "there is nothing to confirm any more"

    # A link works once.
    page.open(link[1])
    page.wait_text("confirmation-notice", "already confirmed")
    assert not page.find("confirmation-submit").is_displayed()

    # The device remembers.
    page.open()
    page.wait_text("attendee-email", "lovelace@example.net")
    page.wait_events("AttendeeRegistered", "EmailChangeRequested", "EmailChangeConfirmed")


def live_updates(page):
    """A change made elsewhere shows without anything being pressed."""
    attendee = page.attendee()
    page.wait_text("stream-state", "Live")
    status, answer = page.conference.request("POST", f"/api/attendee/{attendee}/email", {"email": "third@example.com"})
    assert status == 202, answer
    page.wait_text("attendee-pending-email", "third@example.com")
    page.wait_events("AttendeeRegistered", "EmailChangeRequested", "EmailChangeConfirmed", "EmailChangeRequested")
    page.third = mail_to(page.conference, "third@example.com")[1][2]


def key(page):
    """The key to a registration is mailed, can be copied, and is not lost by a click or by another registration."""
    first = page.attendee()
    assert mail_to(page.conference, "ada@example.org", "registration")[1][2] == first
    page.click("copy-link")
    page.wait_text("copy-link", "Copied")

    page.click("forget")
    page.wait(lambda: page.find("forget-dialog").is_displayed(), "forgetting asks first")
    assert page.find("forget-link").get_attribute("value").endswith(first)
    assert page.driver.switch_to.active_element == page.find("forget-cancel")
    page.click("forget-cancel")
    assert page.attendee() == first

    page.submit("register-email", "second@example.org", "register-submit")
    page.wait_text("attendee-email", "second@example.org")
    second = page.attendee()
    page.wait_text("show-" + first, "lovelace@example.net")
    page.picture("5-two")
    page.click("forget")
    page.click("forget-confirm")
    page.wait(lambda: not page.find("registration").is_displayed(), "it is forgotten")

    page.open("?#" + mail_to(page.conference, "second@example.org", "registration")[1][1][1:])
    page.wait_text("attendee-email", "second@example.org")
    page.wait(lambda: second not in page.driver.current_url, "the key leaves the address bar")
    page.click("show-" + first)
    page.wait_text("attendee-email", "lovelace@example.net")
    page.click("forget-" + second)
    assert page.find("forget-link").get_attribute("value").endswith(second)
    page.click("forget-confirm")
    page.wait(lambda: not page.find("other-registrations").is_displayed(), "the other one is forgotten")
    assert page.attendee() == first
    page.open("?#registration=" + first[:-3])
    page.wait_text("registration-notice", "3 of the last 36 characters are missing")
    page.open("?")
    page.wait_text("attendee-email", "lovelace@example.net")


def busy_server(page):
    """While the server wants to be left alone, the button shows it: it waits, counts down, and can be cancelled."""
    page.answer_once(503, 60)
    page.submit("new-email", "busy@example.com", "change-email-submit")
    page.wait_text("change-email-submit", "Trying again in")
    assert not page.find("change-email-submit").is_enabled()
    page.wait_in_view("change-email-error", "change-email-cancel-retry")
    page.picture("5-busy")
    page.click("change-email-cancel-retry")
    assert page.text("change-email-submit") == "Send the mail" and page.find("change-email-submit").is_enabled()
    assert page.text("change-email-error") == ""

    page.answer_once(503, 1)
    page.click("change-email-submit")
    page.wait_text("attendee-pending-email", "busy@example.com")

    # A window that is closed takes its request along.
    page.answer_once(503, 60)
    page.click("unregister-open")
    page.submit("unregister-reason", "Other plans", "unregister-submit")
    page.wait_text("unregister-submit", "Trying again in")
    page.click("unregister-cancel")
    page.click("unregister-open")
    assert page.text("unregister-submit") == "Give it back" and page.text("unregister-error") == ""
    page.find("unregister-reason").clear()
    page.click("unregister-cancel")


def server_away(page):
    """The page says so when the server is gone, and the same command can be tried again."""
    assert page.conference.stop("web") == 0
    page.submit("new-email", "fourth@example.com", "change-email-submit")
    page.wait_text("change-email-error", "can’t be reached")
    page.wait_text("connection", "out of date")
    page.wait_in_view("change-email-error", "connection")
    check_words(page)
    page.picture("5-server-away")
    page.conference.start("web")
    page.conference.wait_until_ready()
    page.wait_text("change-email-submit", "Try again")
    page.click("change-email-submit")
    page.wait_text("attendee-pending-email", "fourth@example.com")
    page.wait_events("AttendeeRegistered", "EmailChangeRequested", "EmailChangeConfirmed", "EmailChangeRequested",
                     "EmailChangeRequested", "EmailChangeRequested")
    page.wait(lambda: not page.find("connection").is_displayed(), "the server is back")
    page.submit("confirmation-id", page.third, "confirm-submit")
    page.wait_text("registration-notice", "the link in the newer mail")


def unregister(page):
    page.click("unregister-open")
    page.wait(lambda: page.find("unregister-dialog").is_displayed(), "the dialog opens")
    page.click("unregister-submit")
    page.wait_text("unregister-error", "say why")
    page.picture("6-unregister")
    page.submit("unregister-reason", "Other plans \u202e", "unregister-submit")
    page.wait_text("attendee-status", "Given back")
    page.wait_text("attendee-reason", "Other plans")
    page.wait(lambda: not page.find("change-email-form").is_displayed(), "nothing can be changed any more")
    assert page.events()[-1] == ("AttendeeUnregistered", 7)
    check_words(page)
    # What people typed stands by itself: characters that turn text round end with it.
    loose = page.driver.execute_script("""
        const values = document.querySelectorAll('[data-testid=timeline] dd, [data-testid=attendee-email], ' +
            '[data-testid=attendee-reason]');
        return [...values].filter((place) => place.children.length !== 1 ||
            getComputedStyle(place.firstElementChild).unicodeBidi !== 'isolate' ||
            place.firstElementChild.textContent !== place.textContent).map((place) => place.outerHTML);""")
    assert loose == [], loose
    page.picture("7-unregistered")


def lookup(page):
    known = page.attendee()
    page.click("forget")
    page.click("forget-confirm")
    page.wait(lambda: not page.find("registration").is_displayed(), "it is forgotten")
    page.click("lookup-open")
    page.submit("lookup-id", "00000000-0000-4000-8000-000000000000", "lookup-submit")
    page.wait(lambda: page.text("lookup-error"), "an unknown id is refused")
    page.submit("lookup-id", f"{page.conference.url}/#registration={known}", "lookup-submit")
    page.wait_text("attendee-status", "Given back")


def dead_letter_times(conference):
    status, answer = conference.as_organiser("GET", "/api/dead-letters")
    assert status == 200, answer
    return [letter["deadLetteredAt"] for letter in answer["deadLetters"]]


def organiser(page):
    queue = page.conference.queue
    queue.send_poison("<b>not an event</b>")
    page.open("#organiser")
    page.answer_once(429, 60)  # after many wrong ones
    page.submit("organiser-token", "wrong", "organiser-submit")
    page.wait_text("organiser-submit", "Trying again in")
    page.click("organiser-cancel-retry")
    page.click("organiser-submit")
    page.wait_text("organiser-error", "not accepted")
    page.submit("organiser-token", page.conference.token, "organiser-submit")
    page.wait_text("attendees-table", "lovelace@example.net")
    page.wait_text("attendees-count", "2")
    page.wait_text("attendees-seats", "1 seat taken, 1 given back")
    lines = page.driver.execute_script("""
        return [...document.querySelectorAll('td [data-status]')].map((status) => status.getClientRects().length);""")
    assert lines == [1, 1], "a status is broken into lines"

    def dead_letter_shown():
        if page.driver.find_elements(By.CSS_SELECTOR, f'[data-testid="dead-letter-{queue.poison_id}"]'):
            return True
        page.click("organiser-refresh")
        return False
    page.wait(dead_letter_shown, "the poison message is among the dead letters")
    assert not page.driver.find_elements(By.CSS_SELECTOR, '[data-testid="dead-letters"] b'), "data became markup"
    page.wait_text("dead-letters-count", "1")
    page.wait_text("dead-letters", "This message can’t be read.")
    page.picture("8-organiser")
    for button, said in (("resubmit-" + queue.poison_id, "Resubmitted " + queue.poison_id),
                         ("resubmit-all", "Resubmitted 1 message.")):
        first_time = dead_letter_times(page.conference)
        page.click(button)
        page.wait_text("dead-letters-notice", said)
        page.wait(lambda: len(again := dead_letter_times(page.conference)) == 1 and again != first_time,
                  "a resubmitted message was delivered, and dead-lettered, again")
        page.wait(dead_letter_shown, "it is shown again")
    queue.check_left(dead_letters=1)


def phone(page):
    page.open()
    for width in (320, 375):
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True})
        time.sleep(0.2)
        overflow = page.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels too wide at {width}"
        page.picture(f"9-phone-{width}")
    page.driver.execute_script("window.scrollTo(0, 0)")
    page.wait_in_view("register-submit")  # above the fold


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("conference")
    add_queue_options(parser)
    parser.add_argument("--screenshots")
    options = parser.parse_args()
    skip_without_programs(options, "chromium", "chromedriver")

    with tempfile.TemporaryDirectory(prefix="conference-page-") as folder:
        queue = open_queue(options, folder)
        conference = Conference(options.conference, folder, queue)
        page = None
        try:
            conference.start("web")
            conference.start("worker")
            conference.wait_until_ready()
            page = Page(conference, options.screenshots)
            for part in (attendee_story, live_updates, key, busy_server, server_away, unregister, lookup, organiser, phone):
                print(part.__name__, flush=True)
                part(page)
            page.check_console()
            codes = conference.stop_all()
            assert codes == {"web": 0, "worker": 0}, codes
            assert queue.log() == "", f"the queue complained:\n{queue.log()}"
        except BaseException:
            if page:
                page.picture("failure")
            for role in list(conference.processes):
                print(f"--- {role}\n{conference.log(role)}", file=sys.stderr)
                conference.kill(role)
            print(f"--- queue\n{queue.log()}", file=sys.stderr)
            raise
        finally:
            if page:
                page.close()
            queue.stop()


if __name__ == "__main__":
    main()
