//! What clients of the models' door may name.

use std::time::Duration;

use cella_dialogue::{Dialect, Wire};
use cella_kernel::Target;
use cella_model::{ApiKey, NotCarried, models, translated};
use futures_util::future::join_all;

use crate::models::{Models, Talks};

/// Time for one provider's list of models. Stops one that hangs from holding up the lists of the others.
const LIST_WAIT: Duration = Duration::from_secs(5);

/// The one model of a recording.
const RECORDED: &str = "recorded";

/// The models of one provider.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The provider.
    pub provider: String,
    /// Its models, or why nobody knows.
    pub models: Result<Vec<String>, String>,
}

impl Models {
    /// The model that a client means: `provider/model`, or its bare name where just one provider takes such requests as they are.
    #[must_use]
    pub fn target(&self, dialect: Dialect, name: &str) -> Option<Target> {
        if let Some((provider, model)) = name.split_once('/') {
            // What is meant for one provider does not go to another because its name was misspelt.
            let known = self.providers.contains_key(provider);
            return known.then(|| Target { provider: provider.to_owned(), model: model.to_owned() });
        }
        let mut fitting = self.providers.iter().filter(|(_, known)| match &known.talks {
            Talks::Provider(provider) => dialect.is_of(provider.wire),
            Talks::Recording(_) | Talks::Nobody(_) => false,
        });
        match (fitting.next(), fitting.next()) {
            (Some((provider, _)), None) => {
                Some(Target { provider: provider.clone(), model: name.to_owned() })
            }
            _ => None,
        }
    }

    /// Whether a client's request can be put to this provider.
    ///
    /// # Errors
    /// [`NotCarried`], for the client.
    pub fn carries(&self, target: &Target, dialect: Dialect, body: &str) -> Result<(), NotCarried> {
        let wire = match self.providers.get(&target.provider).map(|known| &known.talks) {
            Some(Talks::Provider(provider)) => provider.wire,
            Some(Talks::Recording(_)) => Wire::Cassette,
            // It is said when it is asked.
            Some(Talks::Nobody(_)) | None => return Ok(()),
        };
        if dialect.is_of(wire) { Ok(()) } else { translated(dialect, body).map(drop) }
    }

    /// The models of every provider, by the providers' own lists, in the order of their names.
    pub async fn listed(&self) -> Vec<Listed> {
        let mut names: Vec<&String> = self.providers.keys().collect();
        names.sort();
        let asked = names.into_iter().map(|name| async move {
            let models = match self.providers.get(name).map(|known| (&known.talks, &known.key)) {
                Some((Talks::Provider(provider), key)) => match self.keyed(provider, key.as_deref()).await {
                    Ok(provider) => models(&provider, LIST_WAIT).await.map_err(|fault| fault.message),
                    Err(why) => Err(why),
                },
                Some((Talks::Recording(_), _)) => Ok(vec![RECORDED.to_owned()]),
                Some((Talks::Nobody(why), _)) => Err(why.clone()),
                None => Ok(Vec::new()),
            };
            Listed { provider: name.clone(), models }
        });
        join_all(asked).await
    }

    /// A provider with its key and its headers looked up; `Err`: why there is none, without the key in it.
    pub(crate) async fn keyed(
        &self,
        provider: &cella_model::Provider,
        key: Option<&str>,
    ) -> Result<cella_model::Provider, String> {
        let mut provider = provider.clone();
        for (name, value) in &mut provider.headers {
            *value = (self.keys)(format!("{name} of {}", provider.name), value.clone()).await?;
        }
        if let Some(from) = key {
            let key = (self.keys)(format!("the key of {}", provider.name), from.to_owned()).await?;
            provider.key = Some(ApiKey::new(&key));
        }
        Ok(provider)
    }
}
