//! `time`: the clock in any time zone.

use chrono::{DateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `time` server.
#[derive(Clone, Debug)]
pub struct Time {
    tool_router: ToolRouter<Self>,
}

/// Arguments of `get_current_time`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CurrentTime {
    /// IANA time zone name, for example `Europe/Berlin`. UTC when absent.
    pub timezone: Option<String>,
}

/// Arguments of `convert_time`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ConvertTime {
    /// IANA name of the zone the time is given in.
    pub source_timezone: String,
    /// The time today, 24-hour `HH:MM`.
    pub time: String,
    /// IANA name of the zone wanted.
    pub target_timezone: String,
}

/// A moment in one zone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Moment {
    /// IANA time zone name.
    pub timezone: String,
    /// RFC 3339, with the zone's offset.
    pub datetime: String,
    /// English weekday.
    pub day_of_week: String,
}

/// One moment in two zones.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Conversion {
    /// As given.
    pub source: Moment,
    /// As wanted.
    pub target: Moment,
}

#[tool_router(router = tool_router)]
impl Time {
    /// The server, with its two tools.
    #[must_use]
    pub fn new() -> Self {
        Self { tool_router: Self::tool_router() }
    }

    /// Tells the current date and time in a time zone.
    #[tool(name = "get_current_time", annotations(read_only_hint = true, open_world_hint = false))]
    async fn get_current_time(
        &self,
        Parameters(want): Parameters<CurrentTime>,
    ) -> Result<Json<Moment>, String> {
        let zone = zone(want.timezone.as_deref().unwrap_or("UTC"))?;
        Ok(Json(moment(&Utc::now().with_timezone(&zone))))
    }

    /// Converts a time of today from one time zone to another.
    #[tool(name = "convert_time", annotations(read_only_hint = true, open_world_hint = false))]
    async fn convert_time(
        &self,
        Parameters(want): Parameters<ConvertTime>,
    ) -> Result<Json<Conversion>, String> {
        let (source, target) = (zone(&want.source_timezone)?, zone(&want.target_timezone)?);
        let time = NaiveTime::parse_from_str(&want.time, "%H:%M")
            .map_err(|_| format!("`{}` is not a time of day; write it as HH:MM", want.time))?;
        let today = Utc::now().with_timezone(&source).date_naive();
        let at = source
            .from_local_datetime(&today.and_time(time))
            .earliest()
            .ok_or_else(|| format!("{} does not exist today in {source}: clocks change", want.time))?;
        Ok(Json(Conversion { source: moment(&at), target: moment(&at.with_timezone(&target)) }))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Time {}

impl Default for Time {
    fn default() -> Self {
        Self::new()
    }
}

fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| format!("`{name}` is not an IANA time zone; one is `Europe/Berlin`"))
}

fn moment(at: &DateTime<Tz>) -> Moment {
    Moment {
        timezone: at.timezone().name().to_owned(),
        datetime: at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        day_of_week: at.format("%A").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn kathmandu_is_5_45_ahead_of_utc() {
        let want = ConvertTime {
            source_timezone: "UTC".into(),
            time: "12:00".into(),
            target_timezone: "Asia/Kathmandu".into(),
        };
        let Json(got) = Time::new().convert_time(Parameters(want)).await.expect("both zones exist");
        assert!(got.target.datetime.ends_with("T17:45:00+05:45"), "{}", got.target.datetime);
    }

    #[tokio::test]
    async fn an_unknown_zone_is_named_in_the_refusal() {
        let want = CurrentTime { timezone: Some("Mars/Olympus".into()) };
        let refusal = Time::new().get_current_time(Parameters(want)).await.err().expect("no such zone");
        assert!(refusal.contains("Mars/Olympus"));
    }
}
