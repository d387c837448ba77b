//! Arguments of `cella prices`.

use std::path::PathBuf;

use clap::Args;

#[expect(missing_docs, reason = "a line on it would change what --help shows")]
#[derive(Debug, Args)]
pub struct Prices {
    /// A model as an agent's file names it: PROVIDER/MODEL; all that are known of a vendor with a bare vendor's name
    pub(crate) model: Option<String>,
    /// Take a newer list over: LiteLLM's model_prices_and_context_window.json
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) from: Option<PathBuf>,
    /// Where the table is written, instead of prices.tsv beside cella.toml
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) to: Option<PathBuf>,
    /// The day that the list is of; today
    #[arg(long, value_name = "YYYY-MM-DD", requires = "from")]
    pub(crate) date: Option<String>,
}
