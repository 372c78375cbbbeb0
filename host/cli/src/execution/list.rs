//! `stigmer execution list`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stigmer_proto::local::ListExecutionsRequest;

use super::record::execution_json;
use crate::client::{self, failed};
use crate::failure::Failure;
use crate::follow::clean;
use crate::person;
use crate::printer::Printer;

/// Lists executions, newest first
#[derive(clap::Args)]
pub(crate) struct ListCommand {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl ListCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let executions = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let reply =
                daemon.list_executions(ListExecutionsRequest { limit: self.limit, workspace: String::new() }).await;
            Ok::<_, Failure>(reply.map_err(|status| failed("could not list", &status))?.into_inner().executions)
        })?;
        if self.json {
            let executions: Vec<_> = executions.iter().map(execution_json).collect();
            printer.json(&json!({ "version": 1, "executions": executions }));
        } else {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            for it in &executions {
                let state = if it.outcome.is_empty() { &it.state } else { &it.outcome };
                let age = age(now.saturating_sub(Duration::from_millis(it.created_ms.try_into().unwrap_or_default())));
                let (provider, title) = (clean(&it.provider), clean(&it.title));
                printer.line(format_args!("{}  {state:<10} {age:>6} ago  {provider:<10} {title}", it.id));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How long ago something was, in its largest whole unit.
fn age(since: Duration) -> String {
    let seconds = since.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_largest_whole_unit() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
