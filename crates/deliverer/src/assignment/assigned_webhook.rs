//! A webhook that this replica serves, as its owner or on standby.

use std::sync::Arc;
use std::time::Duration;

use domain::assignment::Role;
use domain::redelivery_pacing::ServedWebhook;
use tokio::time::Instant;

use crate::assignment::throttle::Throttle;
use crate::consumer::subscriber::NUDGE_INTERVAL;
use crate::consumer::worker::Worker;
use crate::limiter::Limits;

/// A standby that became active steps back at most this often. The owner may be unable to serve, and someone must.
const STEP_BACK_INTERVAL: Duration = Duration::from_secs(30);
/// How often a queue is examined at most. Deliveries that are due may wait elsewhere, for example while a broker has just
/// started.
const EXAMINE_INTERVAL: Duration = Duration::from_secs(60);

/// A webhook that this replica serves.
#[derive(Debug)]
pub(crate) struct AssignedWebhook {
    pub(crate) worker: Arc<Worker>,
    pub(crate) role: Role,
    started: Instant,
    /// How many messages the worker had received when it was last found idle.
    idle_after: Option<usize>,
    examinations: Throttle,
    nudges: Throttle,
}

/// The worker of a webhook, as the decision about its role sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serving {
    pub(crate) role: Role,
    pub(crate) limits: Limits,
    /// Whether RabbitMQ made it active some time ago although it may be the standby.
    pub(crate) is_misplaced: bool,
}

/// The action on the worker of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoleAction {
    /// Keep it, in its new role.
    Keep,
    /// Start one.
    Start,
    /// Stop it. A standby comes back in a later pass, behind the owner.
    Stop,
    /// Stop it, and start another.
    Replace,
    /// Nothing: there is none, and there should be none now.
    Ignore,
}

/// Decides about the worker of a webhook whose role is `role` now. Owners start at once. Standbys start when
/// `may_start_standbys`, and an active standby then steps back so that the owner comes first.
pub(crate) fn decide_role(
    serving: Option<Serving>,
    role: Role,
    limits: Limits,
    may_start_standbys: bool,
) -> RoleAction {
    let Some(serving) = serving else {
        return match role {
            Role::Owner => RoleAction::Start,
            Role::Standby if may_start_standbys => RoleAction::Start,
            Role::Standby | Role::Unassigned => RoleAction::Ignore,
        };
    };
    let has_new_limits = serving.limits != limits;
    match role {
        Role::Owner if has_new_limits => RoleAction::Replace,
        Role::Owner => RoleAction::Keep,
        Role::Unassigned => RoleAction::Stop,
        Role::Standby if has_new_limits || serving.role == Role::Owner => RoleAction::Stop,
        Role::Standby if may_start_standbys && serving.is_misplaced => RoleAction::Stop,
        Role::Standby => RoleAction::Keep,
    }
}

impl AssignedWebhook {
    pub(crate) fn new(worker: Arc<Worker>, role: Role, now: Instant) -> Self {
        Self {
            worker,
            role,
            started: now,
            idle_after: None,
            examinations: Throttle::open(EXAMINE_INTERVAL),
            nudges: Throttle::open(NUDGE_INTERVAL),
        }
    }

    /// Returns how this replica sees the webhook.
    pub(crate) fn view(&self) -> ServedWebhook {
        self.worker.view(self.role == Role::Owner)
    }

    pub(crate) fn set_role(&mut self, role: Role) {
        self.role = role;
        if role == Role::Owner {
            self.worker.promote_to_owner();
        }
    }

    /// Whether RabbitMQ made the worker active, and it runs for long enough to step back.
    pub(crate) fn is_misplaced(&self) -> bool {
        self.worker.is_active() && self.started.elapsed() > STEP_BACK_INTERVAL
    }

    /// Whether the owner had nothing to do since the last call.
    pub(crate) fn has_been_idle(&mut self) -> bool {
        let idle_after = self.worker.idle_after();
        let before = std::mem::replace(&mut self.idle_after, idle_after);
        self.role == Role::Owner && is_same_idleness(before, idle_after)
    }

    /// Examines the queue, unless it was examined lately.
    pub(crate) fn examine_queue(&mut self) {
        if self.examinations.try_pass(Instant::now()) {
            self.worker.start_examination();
        }
    }

    /// Nudges the queue, unless it was nudged lately.
    pub(crate) fn nudge(&mut self) {
        if self.nudges.try_pass(Instant::now()) {
            self.worker.nudge();
        }
    }
}

/// Whether a worker was idle at both looks, and received nothing in between.
fn is_same_idleness(before: Option<usize>, now: Option<usize>) -> bool {
    now.is_some() && before == now
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::new(10, None);
    const NEW_LIMITS: Limits = Limits::new(10, Some(5));
    const ROLES: [Role; 3] = [Role::Owner, Role::Standby, Role::Unassigned];

    #[test]
    fn a_webhook_without_a_worker_gets_one_from_its_owner_at_once_and_from_its_standby_in_time() {
        let actions = |may_start| ROLES.map(|role| decide_role(None, role, LIMITS, may_start));
        assert_eq!(actions(false), [RoleAction::Start, RoleAction::Ignore, RoleAction::Ignore]);
        assert_eq!(actions(true), [RoleAction::Start, RoleAction::Start, RoleAction::Ignore]);
    }

    /// All workers against all roles: the rows say what each condition leads to.
    #[test]
    fn every_worker_is_kept_stopped_or_replaced_as_its_role_asks() {
        for was in [Role::Owner, Role::Standby] {
            for is_misplaced in [false, true] {
                for limits in [LIMITS, NEW_LIMITS] {
                    for may_start in [false, true] {
                        let serving = Some(Serving { role: was, limits: LIMITS, is_misplaced });
                        let is_new = limits == NEW_LIMITS;
                        let as_owner = if is_new { RoleAction::Replace } else { RoleAction::Keep };
                        let steps_back = is_new || was == Role::Owner || (is_misplaced && may_start);
                        let as_standby = if steps_back { RoleAction::Stop } else { RoleAction::Keep };
                        let expected = [as_owner, as_standby, RoleAction::Stop];
                        let decided = ROLES.map(|role| decide_role(serving, role, limits, may_start));
                        assert_eq!(decided, expected, "{serving:?} {limits:?} {may_start}");
                    }
                }
            }
        }
    }

    #[test]
    fn idleness_takes_two_looks_with_nothing_in_between() {
        assert!(is_same_idleness(Some(3), Some(3)));
        assert!(!is_same_idleness(Some(3), Some(4)), "a message came and went");
        assert!(!is_same_idleness(None, Some(3)), "it was busy before");
        assert!(!is_same_idleness(Some(3), None) && !is_same_idleness(None, None), "it is busy");
    }
}
