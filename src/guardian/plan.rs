//! A launch plan as it is kept: small, because there are thousands, and ready to be used again
//! without the supervisor.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::lifecycle::Name;
use crate::os::launch::{Context, Identity, Limit};
use crate::os::process::{DESCRIPTORS, DescriptorLimit};
use crate::protocol::guardian::{LaunchPlan, Stdio};

#[derive(Debug)]
pub(super) struct KeptPlan {
    /// Program, arguments and own environment, each string NUL-terminated.
    strings: Box<[u8]>,
    program_end: usize,
    arguments_end: usize,
    shared_environment: Rc<[u8]>,
    pub stdio: [Source; 3],
    pub log_pipe: Option<Name>,
    pub context: Context,
}

/// Where a standard descriptor comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Null,
    Inherit,
    LogWrite,
    LogRead,
    Kept(Rc<OwnedFd>),
    /// The order named one that did not come with it.
    Missing,
}

impl KeptPlan {
    pub fn new(
        plan: LaunchPlan,
        passed: &[Rc<OwnedFd>],
        shared_environment: Rc<[u8]>,
        descriptor_limit: Option<DescriptorLimit>,
    ) -> Self {
        let mut strings = Vec::new();
        push(&mut strings, &plan.program);
        let program_end = strings.len();
        plan.arguments.iter().for_each(|argument| push(&mut strings, argument));
        let arguments_end = strings.len();
        strings.extend_from_slice(&plan.own_environment);
        let source = |stdio: Stdio| match stdio {
            Stdio::Null => Source::Null,
            Stdio::Inherit => Source::Inherit,
            Stdio::LogWrite => Source::LogWrite,
            Stdio::LogRead => Source::LogRead,
            Stdio::Passed(index) => {
                passed.get(usize::from(index)).cloned().map_or(Source::Missing, Source::Kept)
            }
        };
        let stdio = plan.stdio.map(source);
        Self {
            strings: strings.into(),
            program_end,
            arguments_end,
            shared_environment,
            stdio,
            log_pipe: plan.log_pipe.clone(),
            context: context(plan, descriptor_limit),
        }
    }

    pub fn program(&self) -> &CStr {
        let bytes = self.strings.get(..self.program_end).unwrap_or_default();
        CStr::from_bytes_until_nul(bytes).unwrap_or_default()
    }

    pub fn arguments(&self) -> &[u8] {
        self.strings.get(self.program_end..self.arguments_end).unwrap_or_default()
    }

    pub fn environment(&self) -> [&[u8]; 2] {
        [&self.shared_environment, self.strings.get(self.arguments_end..).unwrap_or_default()]
    }
}

fn push(strings: &mut Vec<u8>, string: &[u8]) {
    strings.extend_from_slice(string);
    strings.push(0);
}

fn context(plan: LaunchPlan, descriptor_limit: Option<DescriptorLimit>) -> Context {
    let mut limits: Vec<Limit> = plan
        .limits
        .iter()
        .map(|limit| Limit { resource: limit.resource, soft: limit.soft, hard: limit.hard })
        .collect();
    // Ours was raised for our own sake, if it could be. Last, so that the others keep their index.
    let raised = descriptor_limit.filter(|own| own.soft < own.hard);
    if let Some(own) = raised.filter(|_| limits.iter().all(|limit| limit.resource != DESCRIPTORS)) {
        limits.push(Limit { resource: DESCRIPTORS, soft: own.soft, hard: own.hard });
    }
    Context {
        controlling_terminal: plan.controlling_terminal,
        limits: limits.into(),
        nice: plan.nice,
        io_priority: plan.io_priority,
        scheduler: plan.scheduler.map(|scheduler| (scheduler.policy, scheduler.priority)),
        oom_score_adjust: plan.oom_score_adjust,
        umask: Some(plan.umask & 0o777),
        // No NUL is in them: the decoder has seen to that.
        root: plan.root.map(|root| CString::new(root).unwrap_or_default()),
        working_directory: Some(CString::new(plan.working_directory).unwrap_or_default()),
        identity: plan.identity.map(|identity| Identity {
            uid: identity.uid,
            gid: identity.gid,
            groups: identity.groups.into(),
        }),
    }
}

/// The shared parts of environments by the numbers that this supervisor gave them; each is kept once,
/// however many plans have it.
#[derive(Debug)]
pub(super) struct Environments(BTreeMap<u32, Rc<[u8]>>);

impl Default for Environments {
    fn default() -> Self {
        Self(BTreeMap::from([(0, Rc::from([]))]))
    }
}

impl Environments {
    pub fn set(&mut self, number: u32, variables: Vec<u8>) {
        self.0.insert(number, variables.into());
    }

    pub fn get(&self, number: u32) -> Option<Rc<[u8]>> {
        self.0.get(&number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> LaunchPlan {
        LaunchPlan {
            program: b"/bin/echo".to_vec(),
            arguments: vec![b"echo".to_vec(), Vec::new(), b"b".to_vec()],
            shared_environment: 1,
            own_environment: b"B=2\0".to_vec(),
            stdio: [Stdio::Null, Stdio::LogWrite, Stdio::Passed(1)],
            log_pipe: None,
            controlling_terminal: false,
            limits: Vec::new(),
            nice: None,
            io_priority: None,
            scheduler: None,
            oom_score_adjust: None,
            umask: 0o22,
            root: None,
            working_directory: b"/".to_vec(),
            identity: None,
        }
    }

    #[test]
    fn the_strings_come_back_as_execve_wants_them() {
        let kept = KeptPlan::new(plan(), &[], Rc::from(*b"A=1\0"), None);
        assert_eq!(kept.program(), c"/bin/echo");
        assert_eq!(kept.arguments(), b"echo\0\0b\0");
        assert_eq!(kept.environment(), [b"A=1\0", b"B=2\0"]);
        assert!(matches!(kept.stdio[2], Source::Missing));
    }

    #[test]
    fn a_thousand_plans_share_one_environment_and_let_go_of_it() {
        let mut environments = Environments::default();
        environments.set(1, b"A=1\0".to_vec());
        let one = |_| KeptPlan::new(plan(), &[], environments.get(1).unwrap(), None);
        let kept: Vec<_> = (0..1000).map(one).collect();
        assert_eq!(Rc::strong_count(&kept[0].shared_environment), 1001);
        drop(kept);
        environments.set(1, b"C=3\0".to_vec());
        assert_eq!(environments.get(1).as_deref(), Some(&b"C=3\0"[..]));
        assert_eq!(environments.get(2), None);
    }

    #[test]
    fn our_own_descriptor_limit_is_not_passed_on_unless_the_service_has_its_own() {
        let own = Some(DescriptorLimit { soft: 1024, hard: 4096 });
        let kept = KeptPlan::new(plan(), &[], Rc::from([]), own);
        assert_eq!((kept.context.limits[0].soft, kept.context.limits[0].hard), (1024, 4096));
        let mut other = plan();
        let limit = crate::protocol::guardian::ResourceLimit { resource: DESCRIPTORS, soft: 5, hard: 6 };
        other.limits.push(limit);
        let kept = KeptPlan::new(other, &[], Rc::from([]), own);
        assert_eq!((kept.context.limits.len(), kept.context.limits[0].soft), (1, 5));
    }
}
