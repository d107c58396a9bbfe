//! The programs `ip` and `tc` of iproute2, always inside a namespace of the lab.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::LabError;

/// `ip -n NAMESPACE …`; what it prints.
pub(super) fn ip(namespace: &str, arguments: &[&str]) -> Result<String, LabError> {
    run(Command::new("ip").args(["-n", namespace]).args(arguments), "")
}

/// `tc -n NAMESPACE …`; what it prints.
pub(super) fn tc(namespace: &str, arguments: &[&str]) -> Result<String, LabError> {
    run(Command::new("tc").args(["-n", namespace]).args(arguments), "")
}

/// Several commands of `ip`, one a line.
pub(super) fn batch(namespace: &str, script: &str) -> Result<(), LabError> {
    run(Command::new("ip").args(["-n", namespace, "-batch", "-"]), script).map(|_| ())
}

/// `ip netns …`.
pub(super) fn netns(arguments: &[&str]) -> Result<String, LabError> {
    run(Command::new("ip").arg("netns").args(arguments), "")
}

/// Runs a command to its end.
pub(in crate::lab) fn run(command: &mut Command, input: &str) -> Result<String, LabError> {
    let text = format!("{command:?}").replace('"', "");
    let failed = |output: String| LabError::Command { command: text.clone(), output };
    let mut finish = || -> std::io::Result<Output> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = finish().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
