//! Information from Linux about processes and their threads.

use std::fs;
use std::path::Path;

/// The processes of this machine.
pub(crate) fn list_pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The threads of this process.
pub(crate) fn own_threads() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Reads the name and the processor time, in ticks, of the process (including children that it has waited
/// for) or thread with this `stat` file. Returns `None` when it has ended.
pub(crate) fn read_ticks(stat: &str) -> Option<(String, u64)> {
    let stat = fs::read_to_string(stat).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    // utime, stime, cutime and cstime are the fields 14 to 17; the third comes first here.
    let fields = after.split_whitespace().skip(11).take(4);
    Some((name, fields.filter_map(|field| field.parse::<u64>().ok()).sum()))
}

/// Returns the command line of a process.
pub(crate) fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Returns the memory that a process holds now, in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Returns the process that listens on a port of this machine.
pub(crate) fn listener_on(port: u16) -> Option<u32> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listening_sockets(&fs::read_to_string(table).unwrap_or_default(), port))
        .collect();
    list_pids().find(|pid| holds_socket(*pid, &sockets))
}

fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The local address, the state (0A means listening), the inode.
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]"))).flatten()
    };
    table.lines().filter_map(socket).collect()
}

fn holds_socket(pid: u32, sockets: &[String]) -> bool {
    let files = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd"));
    let mut targets =
        files.into_iter().flatten().flatten().filter_map(|file| fs::read_link(file.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}
