//! `stigmer execution prune`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stigmer_proto::local::PruneRequest;

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

const HOUR: u64 = 3600;

/// Removes executions that ended long ago, with their events, journals and results
///
/// Without `--yes` it only says what it would remove. What runs or waits stays, and so does every conversation that
/// something which stays goes on from. The audit log keeps its rows.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stigmer execution prune --older-than 30d\n  stigmer execution prune --older-than 30d --yes"
)]
pub(crate) struct PruneCommand {
    /// How long ago they ended at least: hours, days or weeks, as in `12h`, `30d`, `8w`
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Duration,
    /// Remove them
    #[arg(long)]
    yes: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl PruneCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(before) = now.checked_sub(self.older_than).and_then(|it| i64::try_from(it.as_millis()).ok()) else {
            return Err(Failure::usage(anyhow::anyhow!("`--older-than` reaches back to before 1970")));
        };
        let request = PruneRequest { ended_before_ms: before, dry_run: !self.yes };
        let pruned = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let reply = daemon.prune(request).await;
            Ok::<_, Failure>(reply.map_err(|status| failed("could not prune", &status))?.into_inner())
        })?;
        if self.json {
            printer.json(&json!({
                "version": 1, "removed": self.yes, "executions": pruned.executions, "bytes": pruned.bytes,
                "kept": pruned.kept,
            }));
            return Ok(ExitCode::SUCCESS);
        }
        let count = pruned.executions.len();
        let kept = match pruned.kept {
            0 => String::new(),
            kept => format!("; {kept} as old stay, since something that stays goes on from them"),
        };
        let done = if self.yes { "removed" } else { "would remove" };
        printer.line(format_args!("{done} {count} executions, which stored {} bytes{kept}", pruned.bytes));
        if !self.yes && count > 0 {
            printer.hint(format_args!("`--yes` removes them; `--json` names them"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn age(text: &str) -> Result<Duration, String> {
    let hours = text.char_indices().next_back().and_then(|(at, unit)| {
        let count: u64 = text[..at].parse().ok()?;
        count.checked_mul(match unit {
            'h' => 1,
            'd' => 24,
            'w' => 24 * 7,
            _ => return None,
        })
    });
    let seconds = hours.and_then(|hours| hours.checked_mul(HOUR));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected a number and `h`, `d` or `w`, as in `30d`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_hours_days_or_weeks() {
        let hours = |hours| Ok(Duration::from_secs(hours * HOUR));
        for (text, wanted) in [("0h", hours(0)), ("12h", hours(12)), ("30d", hours(720)), ("8w", hours(1344))] {
            assert_eq!(age(text), wanted, "{text}");
        }
        for text in
            ["", "d", "30", "30m", "-1d", "1.5d", "30 d", "99999999999999999999d", "18446744073709551615w", "1é"]
        {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
