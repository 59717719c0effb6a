//! Tests of how a process ends when one of its tasks ends or panics.
//!
//! Each test starts this test program again as the service, because the process under test exits.

#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

use std::convert::Infallible;
use std::future::pending;
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use runtime::tasks::{self, BROKEN_EXIT_CODE, Panicked};
use tokio_util::sync::CancellationToken;

/// Environment variable with the scenario of the service.
const SCENARIO: &str = "TASKS_SCENARIO";

/// Runs the service of a scenario in its own process, and returns its exit status and its log.
fn run_scenario(scenario: &str) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_service", "--nocapture"])
        .env(SCENARIO, scenario)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("this program runs");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// Asserts that the service exits as broken, with one error line that contains all of these texts.
fn assert_breaks(scenario: &str, texts: &[&str]) {
    let (code, log) = run_scenario(scenario);
    assert_eq!(code, Some(BROKEN_EXIT_CODE), "{log}");
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(texts.iter().all(|part| errors[0].contains(part)), "{texts:?} in {log}");
}

/// Runs the service for the tests; without a scenario it does nothing.
#[test]
fn the_service() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let code = runtime::lifecycle::run_service(Duration::ZERO, |stop| serve(scenario.clone(), stop));
    assert_eq!(code, ExitCode::SUCCESS);
    if scenario == "a panic after the service ended" {
        let panicked = std::thread::spawn(|| panic!("too late")).join();
        assert!(panicked.is_err());
    }
}

async fn serve(scenario: String, stop: CancellationToken) -> Result<(), Infallible> {
    match scenario.as_str() {
        "a panic of a task" => {
            tokio::spawn(async { panic!("boom") });
            pending().await
        }
        "panics of many tasks" => {
            (0..100).for_each(|_| drop(tokio::spawn(async { panic!("boom") })));
            pending().await
        }
        "a panic of an essential task" => {
            tasks::spawn_essential("recorder", async { panic!("boom") });
            pending().await
        }
        "a panic of another thread" => {
            std::thread::Builder::new().name("reader".to_owned()).spawn(|| panic!("boom")).expect("a thread");
            pending().await
        }
        "an essential task ends" => {
            tasks::spawn_essential("recorder", async {});
            pending().await
        }
        "a task ends before the stop" => {
            tokio::spawn(tasks::run_until_stopped("outbox", stop, async {}));
            pending().await
        }
        "a task ends with the stop" => {
            let task = tasks::run_until_stopped("outbox", stop.clone(), stop.clone().cancelled_owned());
            let task = tokio::spawn(task);
            stop.cancel();
            task.await.expect("it ends");
            Ok(())
        }
        "a contained panic" => {
            let answer = tasks::contain_panic(async {
                tokio::task::yield_now().await;
                panic!("one request")
            });
            let panicked: Result<(), Panicked> = tokio::spawn(answer).await.expect("contained");
            assert_eq!(panicked, Err(Panicked));
            assert_eq!(tasks::contain_panic(async { 7 }).await, Ok(7));
            Ok(())
        }
        "a panic after a contained one" => {
            let contained: Result<(), Panicked> = tasks::contain_panic(async { panic!("one request") }).await;
            assert!(contained.is_err());
            panic!("boom")
        }
        "a panic after the service ended" => Ok(()),
        other => panic!("there is no scenario {other}"),
    }
}

#[test]
fn a_panic_of_any_task_ends_the_process_and_is_logged_once_with_its_location() {
    assert_breaks("a panic of a task", &["boom", "tests/tasks.rs:", "a thread panicked; the process exits"]);
}

#[test]
fn many_panics_at_once_end_the_process() {
    let (code, log) = run_scenario("panics of many tasks");
    assert_eq!(code, Some(BROKEN_EXIT_CODE), "{log}");
}

#[test]
fn a_panic_of_an_essential_task_is_logged_with_its_name() {
    assert_breaks("a panic of an essential task", &["boom", "recorder"]);
}

#[test]
fn a_panic_of_a_thread_outside_the_runtime_ends_the_process() {
    assert_breaks("a panic of another thread", &["boom", "reader"]);
}

#[test]
fn an_essential_task_that_ends_ends_the_process() {
    assert_breaks("an essential task ends", &["recorder", "an essential task ended"]);
}

#[test]
fn a_task_may_end_after_the_stop_but_not_before() {
    assert_breaks("a task ends before the stop", &["outbox", "an essential task ended"]);
    let (code, log) = run_scenario("a task ends with the stop");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn a_contained_panic_is_logged_and_the_process_continues() {
    let (code, log) = run_scenario("a contained panic");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ERROR") && log.contains("one request"), "{log}");
}

#[test]
fn a_panic_after_a_contained_one_ends_the_process() {
    let (code, log) = run_scenario("a panic after a contained one");
    assert_eq!(code, Some(BROKEN_EXIT_CODE), "{log}");
}

#[test]
fn a_panic_while_the_process_exits_does_not_change_its_exit_status() {
    let (code, log) = run_scenario("a panic after the service ended");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}
