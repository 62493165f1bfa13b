//! What the kernel says beside the traffic: the target process, sockets, slab, softirq, drops.
//!
//! Every file of `/proc` has a pure parser that survives missing lines and unknown ones, and a reader that
//! survives a missing file: a container hides `slabinfo`, another kernel lacks a counter, and the run goes
//! on with zeros that the report shows as absent.

pub mod kernel;
pub mod process;
pub mod root;
pub mod slab;
pub mod sockets;

use kernel::KernelSample;
use process::ProcessSample;
use root::ProcRoot;

/// One look at the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SystemSample {
    /// The target, when it runs here and its pid is known.
    pub server: ProcessSample,
    /// This process.
    pub generator: ProcessSample,
    /// The whole machine (this network namespace where the kernel divides).
    pub kernel: KernelSample,
}

/// Takes samples; holds nothing but where to look.
#[derive(Debug, Clone)]
pub struct Sampler {
    root: ProcRoot,
    server_pid: Option<u32>,
}

impl Sampler {
    /// A sampler of this machine and, where given, of the target process.
    #[must_use]
    pub const fn new(root: ProcRoot, server_pid: Option<u32>) -> Self {
        Self { root, server_pid }
    }

    /// Looks once: about 2 ms, most of it slabinfo, so once a second and not on an engine thread.
    #[must_use]
    pub fn sample(&self) -> SystemSample {
        SystemSample {
            server: self.server_pid.map_or_else(ProcessSample::default, |pid| {
                ProcessSample::read(&self.root, &pid.to_string())
            }),
            generator: ProcessSample::read(&self.root, "self"),
            kernel: KernelSample::read(&self.root),
        }
    }
}
