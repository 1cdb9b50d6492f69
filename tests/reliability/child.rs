//! An endpoint in a process of its own, which may be starved, bombed and looked at from outside.
//!
//! The child is this program again, told by an environment variable what it is. It serves until its
//! standard input ends, so it does not outlive its parent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process, setrlimit, waitpid,
};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use switchboard::format::{Bytes, Json};
use switchboard::{Client, Endpoint, Limits, Result, transport};

use crate::bombs;

/// What a child can be told; what is 0 is as usual.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) stack_bytes: usize,
    pub(crate) files_max: u64,
    pub(crate) payload_bytes_max: usize,
    pub(crate) body_time_ms_max: u64,
}

/// How a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) rss_bytes: u64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) files: u64,
    pub(crate) tasks: u64,
    pub(crate) cpu_ms: u64,
}

pub(crate) const PING: switchboard::Command<(), ()> = switchboard::Command::new("PING");
pub(crate) const ECHO: switchboard::Command<bytes::Bytes, bytes::Bytes, Bytes> =
    switchboard::Command::new("ECHO");
const STATUS: switchboard::Command<(), Status, Json> = switchboard::Command::new("STATUS");
const FORGET_PEAK: switchboard::Command<(), ()> = switchboard::Command::new("FORGET_PEAK");

/// A child that serves.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) address: SocketAddr,
}

impl Child {
    pub(crate) fn start(settings: &Settings) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(SETTINGS, encode(settings))
            // One arena of the C library: how much others keep of what was given back differs by a
            // kilobyte a connection from run to run, and is no connection's.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().expect("the child says where it listens");
        Self { process, address }
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Stops it, and waits until it does nothing more: a thread of it may be about to answer.
    pub(crate) fn stop(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// A client to talk about the child's state with.
    pub(crate) async fn watch(&self) -> Watch {
        Watch { client: Client::connect(self.address).await.unwrap() }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks a child how it is.
pub(crate) struct Watch {
    client: Client,
}

impl Watch {
    pub(crate) async fn status(&self) -> Status {
        self.client.call(STATUS, &()).await.expect("the child answers")
    }

    pub(crate) async fn ping(&self) {
        self.client.call(PING, &()).await.expect("the child answers");
    }

    /// Lets the peak of the memory begin at what is used now.
    pub(crate) async fn forget_peak(&self) {
        self.client.call(FORGET_PEAK, &()).await.expect("the child answers");
    }

    /// Asks until `is_reached`, for as long as anything could need.
    pub(crate) async fn until(&self, what: &str, is_reached: impl Fn(&Status) -> bool) -> Status {
        let ask = async {
            loop {
                let status = self.status().await;
                if is_reached(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), ask).await {
            Ok(status) => status,
            Err(_) => panic!("never reached: {what}; now {:?}", self.status().await),
        }
    }
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(SETTINGS).is_some()
}

/// The child itself.
pub(crate) fn main() {
    let settings = decode(&std::env::var(SETTINGS).unwrap());
    match settings.files_max {
        0 => drop(raise_files()),
        files_max => set_files(files_max),
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all();
    if settings.stack_bytes > 0 {
        runtime.thread_stack_size(settings.stack_bytes);
    }
    let runtime = runtime.build().unwrap();
    runtime.spawn(serve(settings));
    let _ = std::io::stdin().read(&mut [0]);
    runtime.shutdown_background();
}

/// Lets this process open as many files as it may; answers how many.
pub(crate) fn raise_files() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // macOS and others call it endless and mean less.
    set_files(maximum.unwrap_or(65_536));
    getrlimit(Resource::Nofile).current.unwrap_or(0)
}

/// The CPU time that this process has used.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn set_files(current: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum }).unwrap();
}

async fn serve(settings: Settings) {
    let limits = Limits::default().with(|limits| {
        limits.connections_max = 1_000_000;
        limits.connections_per_peer_max = 1_000_000;
        if settings.payload_bytes_max > 0 {
            limits.payload_bytes_max = settings.payload_bytes_max;
        }
        if settings.body_time_ms_max > 0 {
            limits.body_time_max = Duration::from_millis(settings.body_time_ms_max);
        }
    });
    let endpoint = Endpoint::new()
        .with_limits(limits)
        .on(PING, async |()| Ok::<_, switchboard::Error>(()))
        .on(ECHO, async |bytes: bytes::Bytes| Ok::<_, switchboard::Error>(bytes))
        .on(STATUS, async |()| status())
        .on(FORGET_PEAK, async |()| std::fs::write("/proc/self/clear_refs", "5"));
    let endpoint = bombs::register(endpoint);
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_address().unwrap()).unwrap();
    out.flush().unwrap();
    endpoint.serve(listener).await.unwrap();
}

fn status() -> Result<Status> {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64;
    let cpu_ms = u64::try_from(cpu_time().as_millis()).unwrap();
    let Ok(text) = std::fs::read_to_string("/proc/self/status") else {
        // No file is left, not even for looking.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        return Ok(Status { rss_bytes: 0, peak_rss_bytes: 0, files, tasks, cpu_ms });
    };
    let kib: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let bytes = |field: &str| {
        let number = kib[field].split_whitespace().next().unwrap();
        number.parse::<u64>().unwrap() * 1024
    };
    Ok(Status {
        rss_bytes: bytes("VmRSS"),
        peak_rss_bytes: bytes("VmHWM"),
        files: std::fs::read_dir("/proc/self/fd")?.count() as u64,
        tasks,
        cpu_ms,
    })
}

/// The memory that this process has in use; 0 where nobody says.
pub(crate) fn rss_bytes() -> u64 {
    status().map_or(0, |status| status.rss_bytes)
}

fn encode(settings: &Settings) -> String {
    let Settings { stack_bytes, files_max, payload_bytes_max, body_time_ms_max } = settings;
    format!("{stack_bytes} {files_max} {payload_bytes_max} {body_time_ms_max}")
}

fn decode(text: &str) -> Settings {
    let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().unwrap()).collect();
    let size = |index: usize| usize::try_from(numbers[index]).unwrap();
    Settings {
        stack_bytes: size(0),
        files_max: numbers[1],
        payload_bytes_max: size(2),
        body_time_ms_max: numbers[3],
    }
}

const SETTINGS: &str = "SWITCHBOARD_RELIABILITY_CHILD";
