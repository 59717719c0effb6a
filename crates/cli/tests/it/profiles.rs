//! `postrider login`, the profiles, and which credentials win.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::fake_api::FakeApi;
use crate::tool::{Directory, TOKEN, bare, error_of, on_terminal, run_with_input};

fn at_home(home: &Directory, args: &[&str]) -> Command {
    let mut command = bare(args);
    command.env("HOME", home.path());
    command
}

fn log_in(home: &Directory, api: &FakeApi, name: &str, token: &str) {
    let mut command = at_home(home, &["login", "--profile", name, "--url", &api.url]);
    let output = run_with_input(&mut command, &format!("{token}\n"));
    assert!(output.status.success(), "{}", error_of(&output));
    assert!(!error_of(&output).contains(token) && !String::from_utf8_lossy(&output.stdout).contains(token));
}

/// Runs `me` and returns the token that the API got.
fn token_of(command: &mut Command, api: &FakeApi) -> Result<String, String> {
    let output = command.output().expect("it runs");
    if !output.status.success() {
        return Err(format!("{:?} {}", output.status.code(), error_of(&output)));
    }
    Ok(api.last_token())
}

#[test]
fn login_keeps_the_token_in_a_private_file_and_later_runs_use_it() {
    let api = FakeApi::for_brand();
    let home = Directory::new();
    log_in(&home, &api, "eu", "prt_eu");
    log_in(&home, &api, "us", "prt_us");
    let path = home.path().join(".config/postrider/profiles.json");
    let mode = std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(token_of(&mut at_home(&home, &["me"]), &api).as_deref(), Ok("prt_us"));
    assert_eq!(token_of(&mut at_home(&home, &["me", "--profile", "eu"]), &api).as_deref(), Ok("prt_eu"));
    let mut by_variable = at_home(&home, &["me"]);
    assert_eq!(token_of(by_variable.env("POSTRIDER_PROFILE", "eu"), &api).as_deref(), Ok("prt_eu"));
    assert!(at_home(&home, &["profiles", "use", "eu"]).status().expect("it runs").success());
    assert_eq!(token_of(&mut at_home(&home, &["me"]), &api).as_deref(), Ok("prt_eu"));
    let listed = at_home(&home, &["profiles", "list"]).output().expect("it runs");
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.contains("eu       *") && !listed.contains("prt_"), "{listed}");
    assert!(at_home(&home, &["profiles", "delete", "eu"]).status().expect("it runs").success());
    let error = token_of(&mut at_home(&home, &["me"]), &api).expect_err("no current profile");
    assert!(error.contains("give a token"), "{error}");
}

#[test]
fn options_and_variables_win_over_the_profile() {
    let api = FakeApi::for_brand();
    let home = Directory::new();
    log_in(&home, &api, "default", "prt_profile");
    let file = home.write("token", b"prt_file\n");
    let mut variable = at_home(&home, &["me"]);
    variable.env("POSTRIDER_TOKEN", "prt_variable").env("POSTRIDER_URL", &api.url);
    assert_eq!(token_of(&mut variable, &api).as_deref(), Ok("prt_variable"));
    let mut option = at_home(&home, &["me", "--token-file", &file, "--url", &api.url]);
    assert_eq!(token_of(option.env("POSTRIDER_TOKEN", "prt_variable"), &api).as_deref(), Ok("prt_file"));
    let other = FakeApi::for_brand();
    let error = token_of(&mut at_home(&home, &["me", "--url", &other.url]), &other).expect_err("another URL");
    assert!(error.contains("the token of the profile is for"), "{error}");
    assert!(other.tokens().is_empty(), "the token went nowhere");
}

#[test]
fn empty_variables_are_not_given_and_an_option_wins_over_a_variable() {
    let api = FakeApi::for_brand();
    let home = Directory::new();
    let file = home.write("token", b"prt_file\n");
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = bare(args);
        command.env("POSTRIDER_URL", &api.url).envs(variables.iter().copied());
        token_of(&mut command, &api)
    };
    let empty = [("POSTRIDER_TOKEN", ""), ("POSTRIDER_TOKEN_FILE", file.as_str())];
    assert_eq!(run(&["me"], &empty).as_deref(), Ok("prt_file"));
    let exported = [("POSTRIDER_TOKEN_FILE", file.as_str())];
    assert_eq!(run(&["me", "--token", "prt_option"], &exported).as_deref(), Ok("prt_option"));
    let missing = [("POSTRIDER_TOKEN_FILE", "/no/such/file")];
    assert_eq!(run(&["me", "--token", "prt_option"], &missing).as_deref(), Ok("prt_option"));
    let both = [("POSTRIDER_TOKEN", "prt_variable"), ("POSTRIDER_TOKEN_FILE", file.as_str())];
    assert_eq!(run(&["me"], &both).as_deref(), Ok("prt_variable"));
    assert_eq!(run(&["me", "--token-file", &file], &both).as_deref(), Ok("prt_file"));
    let nothing = [
        ("POSTRIDER_TOKEN", TOKEN),
        ("POSTRIDER_TOKEN_FILE", ""),
        ("POSTRIDER_PROFILE", ""),
        ("POSTRIDER_BRAND", ""),
    ];
    assert_eq!(run(&["me"], &nothing).as_deref(), Ok(TOKEN));
    let error = run(&["me", "--token", "a", "--token-file", &file], &[]).expect_err("two options");
    assert!(error.starts_with("Some(2)") && error.contains("cannot be used together"), "{error}");
}

#[test]
fn login_takes_no_token_from_the_command_line_and_hides_what_is_typed() {
    let api = FakeApi::for_brand();
    let home = Directory::new();
    let refused =
        at_home(&home, &["login", "--url", &api.url, "--token", "prt_seen"]).output().expect("it runs");
    assert!(!refused.status.success() && error_of(&refused).contains("leave out --token"), "{refused:?}");
    let mut typed = at_home(&home, &["login", "--url", &api.url]);
    let (shown, status) = on_terminal(&mut typed, 200, Some(("Token for", "prt_typed\r")));
    assert!(status.success() && !shown.contains("prt_typed"), "{shown}");
    assert_eq!(token_of(&mut at_home(&home, &["me"]), &api).as_deref(), Ok("prt_typed"));
    let mut interrupted = at_home(&home, &["login", "--profile", "other", "--url", &api.url]);
    let (shown, status) = on_terminal(&mut interrupted, 200, Some(("Token for", "prt\u{3}")));
    assert!(!status.success() && shown.contains("interrupted"), "{shown}");
    let empty = run_with_input(&mut at_home(&home, &["login", "--url", &api.url]), "\n");
    assert!(error_of(&empty).contains("give a token"), "{empty:?}");
}

#[test]
fn a_token_that_the_api_refuses_is_not_kept() {
    let api = FakeApi::refusing();
    let home = Directory::new();
    let output = run_with_input(&mut at_home(&home, &["login", "--url", &api.url]), "prt_wrong\n");
    assert!(!output.status.success() && error_of(&output).contains("(401)"), "{output:?}");
    assert!(!home.path().join(".config").exists());
}
