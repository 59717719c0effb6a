//! The overview as text: the summary first, then each list that is not empty.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::view::{Attention, Minute, Overview, RejectedSummary, Service, Waiting, Webhook};
use crate::output::screen::{Color, Screen};
use crate::output::table::{Column, Table};
use crate::output::words::{format_age, format_count, format_number_of, format_share};
use crate::terminal::escape_text;

/// The services of a whole platform.
const SERVICES: [&str; 3] = ["subscription-api", "router", "deliverer"];
/// Time without a sign of a process after which it is marked. Processes report every few seconds.
const SILENT_AFTER: TimeDelta = TimeDelta::seconds(15);
/// Age of the oldest waiting delivery from which it is marked.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(1);
/// Minutes that count as now.
const RECENT_MINUTES: usize = 5;
/// Groups of rejected events that are listed.
const MAX_GROUPS: usize = 10;
/// Width of the names of the summary.
const NAME_WIDTH: usize = 11;

/// Formats the whole overview.
pub(super) fn format_report(
    overview: &Overview,
    rejected: Option<&RejectedSummary>,
    screen: Screen,
) -> Vec<String> {
    let mut report = Report { lines: Vec::new(), screen };
    report.lines.push(format!("Postrider at {}", overview.at.format("%Y-%m-%d %H:%M:%S UTC")));
    report.lines.push(String::new());
    report.add_services(&overview.services, overview.at);
    report.add_waiting(&overview.waiting, overview.at);
    report.add_attempts(&overview.minutes);
    report.add_webhooks(overview);
    report.add_rejected(overview.rejected, rejected);
    report.add_queues(overview);
    report.add_attention(overview);
    report.add_disabled(&overview.disabled, overview.at);
    report.add_rejected_groups(rejected, overview.at);
    report.lines
}

struct Report {
    lines: Vec<String>,
    screen: Screen,
}

impl Report {
    /// Adds a line of the summary.
    fn add_line(&mut self, name: &str, text: &str, color: Color) {
        let text = match self.screen.width {
            Some(width) => crate::output::screen::cut(&escape_text(text), width.saturating_sub(NAME_WIDTH)),
            None => escape_text(text),
        };
        let name = self.screen.paint(&format!("{name:<NAME_WIDTH$}"), Color::Heading);
        self.lines.push(format!("{name}{}", self.screen.paint(&text, color)));
    }

    fn add_services(&mut self, services: &[Service], now: DateTime<Utc>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for service in services {
            *counts.entry(&service.service).or_default() += 1;
        }
        let known = SERVICES.iter().filter_map(|name| Some((*name, counts.get(name)?)));
        let other =
            counts.iter().filter(|(name, _)| !SERVICES.contains(name)).map(|(name, count)| (*name, count));
        let seen: Vec<String> = known.chain(other).map(|(name, count)| format!("{count} {name}")).collect();
        let missing: Vec<&str> = SERVICES.into_iter().filter(|name| !counts.contains_key(name)).collect();
        let color = if missing.is_empty() { Color::Good } else { Color::Plain };
        self.add_line("Services", &if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }, color);
        if !missing.is_empty() {
            self.add_line("", &format!("no {} was seen", missing.join(", no ")), Color::Bad);
        }
        for service in services.iter().filter(|service| now - service.last_seen > SILENT_AFTER) {
            let Service { service, host, last_seen, .. } = service;
            self.add_line(
                "",
                &format!("{service} on {host} was last seen {}", format_age(*last_seen, now)),
                Color::Bad,
            );
        }
        let mut versions: Vec<&str> = services.iter().map(|service| service.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        if versions.len() > 1 {
            self.add_line("", &format!("several versions: {}", versions.join(", ")), Color::Warning);
        }
    }

    fn add_waiting(&mut self, waiting: &Waiting, now: DateTime<Utc>) {
        let more = if waiting.more { "more than " } else { "" };
        let mut text = format!("{more}{}", format_number_of(waiting.deliveries, "delivery"));
        let mut color = Color::Plain;
        if let Some(oldest) = waiting.oldest {
            let verb = if oldest > now { "first is due" } else { "oldest was due" };
            text = format!("{text}; the {verb} {}", format_age(oldest, now));
            if now - oldest > LATE_AFTER {
                color = Color::Warning;
            }
        }
        let owner = [waiting.oldest_brand_id.as_deref(), waiting.oldest_webhook_id.as_deref()];
        let owner: Vec<&str> = owner.into_iter().flatten().collect();
        if !owner.is_empty() {
            text = format!("{text} ({})", owner.join(", webhook "));
        }
        self.add_line("Waiting", &text, color);
    }

    fn add_attempts(&mut self, minutes: &[Minute]) {
        let recent = &minutes[minutes.len().saturating_sub(RECENT_MINUTES)..];
        for (name, span, minutes) in [("Attempts", "5 min", recent), ("", "60 min", minutes)] {
            let attempts: u64 = minutes.iter().map(|minute| minute.attempts).sum();
            let delivered: u64 = minutes.iter().filter_map(|minute| minute.outcomes.get("delivered")).sum();
            let share = format_share(delivered, attempts);
            let events = describe_events(minutes);
            let color = if attempts > 0 && delivered * 2 < attempts { Color::Bad } else { Color::Plain };
            let text = match attempts {
                0 => format!("none in {span}"),
                _ => format!("{} in {span}, {share} succeeded{events}", format_count(attempts)),
            };
            self.add_line(name, &text, color);
        }
    }

    fn add_webhooks(&mut self, overview: &Overview) {
        let count = |status: &str| overview.webhooks.get(status).copied().unwrap_or(0);
        let words = ["active", "paused", "disabled"]
            .map(|status| format!("{} {status}", format_count(count(status))));
        let color = if count("disabled") > 0 { Color::Warning } else { Color::Plain };
        self.add_line("Webhooks", &words.join(", "), color);
    }

    fn add_rejected(&mut self, total: u64, summary: Option<&RejectedSummary>) {
        let dropped: u64 =
            summary.map_or(0, |summary| summary.dropped.iter().map(|group| group.messages).sum());
        let mut text = format_number_of(total, "event");
        if dropped > 0 {
            text = format!("{text}, and {} dropped in the last week", format_count(dropped));
        }
        self.add_line("Rejected", &text, if total > 0 { Color::Warning } else { Color::Plain });
    }

    fn add_queues(&mut self, overview: &Overview) {
        let filled: Vec<String> = overview
            .queues
            .iter()
            .filter(|queue| queue.messages > 0)
            .map(|queue| format!("{} {}", queue.name, format_count(queue.messages)))
            .collect();
        let text = if filled.is_empty() { "all empty".to_owned() } else { filled.join(", ") };
        self.add_line("Queues", &text, Color::Plain);
    }

    fn add_attention(&mut self, overview: &Overview) {
        let Some(attention) = overview.attention.as_ref().filter(|attention| !attention.is_empty()) else {
            return;
        };
        const COLUMNS: [Column; 8] = [
            Column::exact("WEBHOOK", ""),
            Column::exact("BRAND", ""),
            Column::word("STATE", ""),
            Column::exact("SINCE", ""),
            Column::exact("DISABLED", "").optional(),
            Column::exact("WAITING", ""),
            Column::text("ENDPOINT", ""),
            Column::text("CONTACT", "").optional(),
        ];
        let mut table = Table::new(&COLUMNS);
        attention.iter().for_each(|item| table.push(attention_row(item, overview.at)));
        let more = if overview.attention_more { " and more" } else { "" };
        self.add_table(&format!("Needs attention: {}{more}", attention.len()), table);
    }

    fn add_disabled(&mut self, disabled: &[Webhook], now: DateTime<Utc>) {
        if disabled.is_empty() {
            return;
        }
        const COLUMNS: [Column; 5] = [
            Column::exact("WEBHOOK", ""),
            Column::exact("BRAND", ""),
            Column::exact("REASON", ""),
            Column::exact("SINCE", ""),
            Column::text("ENDPOINT", ""),
        ];
        let mut table = Table::new(&COLUMNS);
        for webhook in disabled {
            let (reason, at) = webhook.disabled.as_ref().map_or_else(
                || ("-".to_owned(), "-".to_owned()),
                |disabled| (disabled.reason.clone(), format_age(disabled.at, now)),
            );
            table.push(vec![webhook.id.clone(), webhook.brand_id.clone(), reason, at, name_of(webhook)]);
        }
        self.add_table("Disabled webhooks", table);
    }

    fn add_rejected_groups(&mut self, summary: Option<&RejectedSummary>, now: DateTime<Utc>) {
        let Some(summary) = summary.filter(|summary| !summary.items.is_empty()) else { return };
        const COLUMNS: [Column; 5] = [
            Column::exact("REASON", ""),
            Column::exact("BRAND", ""),
            Column::text("TYPE", "").optional(),
            Column::exact("EVENTS", ""),
            Column::exact("LAST", "").optional(),
        ];
        let mut groups: Vec<_> = summary.items.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.messages));
        let mut table = Table::new(&COLUMNS);
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        for group in groups.iter().take(MAX_GROUPS) {
            table.push(vec![
                or_dash(&group.reason),
                or_dash(&group.brand_id),
                or_dash(&group.r#type),
                format_count(group.messages),
                group.last.map_or_else(|| "-".to_owned(), |at| format_age(at, now)),
            ]);
        }
        let more = groups.len().saturating_sub(MAX_GROUPS);
        let title = match more {
            0 => "Rejected events".to_owned(),
            more => format!("Rejected events, the largest groups ({more} more: postrider rejected summary)"),
        };
        self.add_table(&title, table);
    }

    fn add_table(&mut self, title: &str, table: Table) {
        self.lines.push(String::new());
        self.lines.push(self.screen.paint(&self.screen.fit(title), Color::Heading));
        self.lines.extend(table.drop_empty_columns().format_lines(self.screen));
    }
}

/// Tells how the deliveries ended, if the API counts them.
fn describe_events(minutes: &[Minute]) -> String {
    if minutes.iter().all(|minute| minute.events.is_none()) {
        return String::new();
    }
    let events = || minutes.iter().filter_map(|minute| minute.events.as_ref());
    let delivered: u64 = events().map(|events| events.delivered).sum();
    let failed: u64 = events().map(|events| events.failed).sum();
    format!("; events: {} delivered, {} failed", format_count(delivered), format_count(failed))
}

fn attention_row(item: &Attention, now: DateTime<Utc>) -> Vec<String> {
    let webhook = &item.webhook;
    let health = webhook.health.as_ref();
    let dash = || "-".to_owned();
    let age = |at: Option<DateTime<Utc>>| at.map_or_else(dash, |at| format_age(at, now));
    let contact = item.brand.as_ref().and_then(|brand| brand.contact.as_ref()?.email.clone());
    vec![
        webhook.id.clone(),
        webhook.brand_id.clone(),
        health.map_or_else(dash, |health| health.state.clone()),
        age(health.and_then(|health| health.since)),
        age(health.and_then(|health| health.disables_at)),
        item.waiting.as_ref().map_or_else(dash, |waiting| format_count(waiting.deliveries)),
        name_of(webhook),
        contact.unwrap_or_else(dash),
    ]
}

/// Names a webhook for people.
fn name_of(webhook: &Webhook) -> String {
    match &webhook.description {
        Some(description) => format!("{} ({description})", webhook.endpoint),
        None => webhook.endpoint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::screen::display_width;

    const ID: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";

    fn webhook(status: &str) -> Value {
        json!({"id": ID, "brandId": "acme", "endpoint": "https://example.com/hooks", "status": status,
            "description": null, "disabled": null})
    }

    fn service(name: &str, last_seen: &str) -> Value {
        json!({"id": ID, "service": name, "host": "h1", "version": "0.1.0", "started": last_seen, "lastSeen": last_seen})
    }

    /// An overview as a server of the version before `attention` sends it.
    fn earlier() -> Value {
        let seen = "2026-11-28T13:40:10.000Z";
        let mut disabled = webhook("disabled");
        disabled["disabled"] = json!({"reason": "gone", "detail": "410", "at": "2026-11-28T11:35:00.000Z"});
        json!({
            "at": "2026-11-28T13:40:12.000Z",
            "services": [service("subscription-api", seen), service("router", seen),
                service("deliverer", seen), service("deliverer", "2026-11-28T13:39:12.000Z")],
            "queues": [{"name": "postrider.ingest", "messages": 1200}, {"name": "postrider.rejected", "messages": 0}],
            "waiting": {"deliveries": 1204, "more": false, "oldest": "2026-11-28T13:28:12.000Z"},
            "webhooks": {"active": 12, "paused": 1, "disabled": 1},
            "disabled": [disabled],
            "rejected": 131,
            "minutes": [{"at": seen, "attempts": 100, "outcomes": {"delivered": 90, "timeout": 10}}],
        })
    }

    fn report(overview: Value, rejected: Option<Value>, screen: Screen) -> Vec<String> {
        let overview = serde_json::from_value(overview).expect("an overview");
        let rejected: Option<RejectedSummary> =
            rejected.map(|value| serde_json::from_value(value).expect("groups"));
        format_report(&overview, rejected.as_ref(), screen)
    }

    #[test]
    fn report_of_todays_api_has_every_part() {
        let rejected = json!({"items": [{"brandId": null, "reason": "invalid_json", "messages": 1, "bytes": 8},
            {"brandId": "acme", "reason": "unknown_type", "messages": 130, "bytes": 8}],
            "dropped": [{"brandId": "acme", "messages": 7, "bytes": 1}], "total": 131, "complete": true});
        let lines = report(earlier(), Some(rejected), Screen::PIPE);
        assert_eq!(
            lines.join("\n"),
            format!(
                "Postrider at 2026-11-28 13:40:12 UTC\n\n\
                 Services   1 subscription-api, 1 router, 2 deliverer\n           \
                 deliverer on h1 was last seen 1 min ago\n\
                 Waiting    1,204 deliveries; the oldest was due 12 min ago\n\
                 Attempts   100 in 5 min, 90 % succeeded\n           \
                 100 in 60 min, 90 % succeeded\n\
                 Webhooks   12 active, 1 paused, 1 disabled\n\
                 Rejected   131 events, and 7 dropped in the last week\n\
                 Queues     postrider.ingest 1,200\n\n\
                 Disabled webhooks\n\
                 WEBHOOK                               BRAND  REASON  SINCE          ENDPOINT\n\
                 {ID}  acme   gone    2 h 5 min ago  https://example.com/hooks\n\n\
                 Rejected events\n\
                 REASON        BRAND  EVENTS\n\
                 unknown_type  acme   130\n\
                 invalid_json  -      1"
            )
        );
    }

    #[test]
    fn report_shows_what_needs_attention() {
        let mut overview = earlier();
        let mut failing = webhook("active");
        failing["health"] = json!({"state": "failing", "since": "2026-11-28T13:02:12.000Z", "successRate": 0.1,
            "disablesAt": "2026-11-28T13:52:12.000Z"});
        let contact = json!({"name": "Ada", "email": "ada@example.com"});
        overview["attention"] = json!([{"webhook": failing,
            "brand": {"brandId": "acme", "name": "Acme", "contact": contact},
            "waiting": {"deliveries": 129, "oldest": null}}]);
        overview["attentionMore"] = json!(true);
        overview["waiting"]["oldestBrandId"] = json!("acme");
        overview["waiting"]["oldestWebhookId"] = json!(ID);
        overview["minutes"][0]["events"] = json!({"delivered": 80, "failed": 2});
        let text = report(overview, None, Screen::PIPE).join("\n");
        for wanted in [
            format!("the oldest was due 12 min ago (acme, webhook {ID})"),
            "100 in 5 min, 90 % succeeded; events: 80 delivered, 2 failed".to_owned(),
            "Needs attention: 1 and more\nWEBHOOK".to_owned(),
            format!(
                "{ID}  acme   failing  38 min ago  in 12 min  129      https://example.com/hooks  ada@example.com"
            ),
        ] {
            assert!(text.contains(&wanted), "{wanted} in\n{text}");
        }
    }

    #[test]
    fn report_of_a_platform_without_processes_and_data_says_so() {
        let overview = json!({"at": "2026-11-28T13:40:12.000Z", "services": [], "queues": [],
            "waiting": {"deliveries": 0, "more": false, "oldest": null}, "webhooks": {}, "disabled": [],
            "rejected": 0, "minutes": []});
        let text = report(overview, None, Screen::PIPE).join("\n");
        assert!(text.contains("no subscription-api, no router, no deliverer was seen"), "{text}");
        assert!(text.contains("Attempts   none in 5 min") && text.contains("Queues     all empty"), "{text}");
    }

    #[test]
    fn every_line_fits_a_narrow_terminal() {
        for width in [20, 40, 80] {
            let lines = report(earlier(), None, Screen { width: Some(width), color: false });
            assert!(lines.iter().skip(1).all(|line| display_width(line) <= width), "{width}: {lines:#?}");
        }
    }
}
