//! `GET /v1/models`: the agents of the node and the models of its providers.

use std::time::{Duration, Instant};

use cella_agency::Listed;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    door::{Body, Door, whole},
    fault::Fault,
};

/// Age at which the providers are asked for their lists again.
const FRESH: Duration = Duration::from_secs(300);

/// The providers' lists, as they were a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<Option<(Instant, Vec<Listed>)>>);

impl Door {
    /// Everything that a client may name. Providers that gave no list are named with the reason, beside those that did.
    pub(crate) async fn models(&self, principal: &str) -> Response<Body> {
        let (listed, rights) = (self.listed().await, self.crew.rights());
        let mut data: Vec<Value> =
            self.crew.agents_for(principal).iter().map(|agent| entry(agent, "cella")).collect();
        let mut missing = Vec::new();
        for Listed { provider, models } in listed {
            match models {
                Ok(models) => {
                    let names = models.iter().map(|model| format!("{provider}/{model}"));
                    let names = names.filter(|name| rights.ask(principal, name).is_ok());
                    data.extend(names.map(|name| entry(&name, &provider)));
                }
                Err(why) => missing.push(json!({ "provider": provider, "error": why })),
            }
        }
        let is_whole = missing.is_empty();
        let mut list = json!({ "object": "list", "data": data });
        if !is_whole {
            list["missing"] = missing.into();
        }
        let mut response = whole(StatusCode::OK, &list);
        if !is_whole {
            response.headers_mut().insert("x-cella-missing", HeaderValue::from_static("providers"));
        }
        response
    }

    /// One of them.
    pub(crate) async fn model(&self, name: &str, principal: &str) -> Response<Body> {
        let agents = self.crew.agents_for(principal);
        if agents.iter().any(|agent| agent == name) {
            return whole(StatusCode::OK, &entry(name, "cella"));
        }
        let listed = self.listed().await;
        let known = name.split_once('/').and_then(|(provider, model)| {
            let list = listed.iter().find(|list| list.provider == provider)?;
            let models = list.models.as_ref().ok()?;
            let may = self.crew.rights().ask(principal, name).is_ok();
            (may && models.iter().any(|known| known == model)).then_some(provider)
        });
        match known {
            Some(provider) => whole(StatusCode::OK, &entry(name, provider)),
            None => {
                let providers =
                    listed.iter().map(|list| list.provider.as_str()).collect::<Vec<_>>().join(", ");
                let fault =
                    Fault::NoSuchModel { name: name.to_owned(), providers, agents: agents.join(", ") };
                fault.response(cella_dialogue::Dialect::Chat)
            }
        }
    }

    async fn listed(&self) -> Vec<Listed> {
        let mut lists = self.lists.0.lock().await;
        if let Some((asked, listed)) = &*lists
            && asked.elapsed() < FRESH
            // Who gave none may do so now; and there may be others by another configuration.
            && listed.iter().all(|list| list.models.is_ok())
            && listed.len() == self.crew.models().names().count()
        {
            return listed.clone();
        }
        let listed = self.crew.models().listed().await;
        *lists = Some((Instant::now(), listed.clone()));
        listed
    }
}

fn entry(id: &str, owner: &str) -> Value {
    // Nobody knows since when there is a model; the field is required.
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}
