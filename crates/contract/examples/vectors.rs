//! Prints `spec/contract-v1/vectors.json` anew. The file is frozen: a difference means that the format changed.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    let contracts = [
        "",
        "preset = \"trusted\"\n",
        "version = 1\negress = [\"api.example.com:443\", \"*.example.com:443\"]\n\n[[files]]\npath = \"/srv/invoices\"\nmode = \"write\"\n\n[limits]\nmemory = \"512MiB\"\nprocesses = 32\ntime = \"2m\"\n\n[tools.\"*\"]\neffect = \"read\"\n\n[tools.pay]\neffect = \"irreversible\"\nprobe = \"payment_status\"\nphases = [\"commit\"]\nlocks = [\"write row:invoices/{id}\"]\n\n[tools.drop]\nallow = false\n",
    ];
    let vectors: Vec<_> = contracts
        .into_iter()
        .map(|text| {
            let contract = cella_contract::Contract::parse("vector", text).unwrap_or_else(|e| panic!("{e}"));
            let sha256: String = contract.digest().iter().map(|b| format!("{b:02x}")).collect();
            serde_json::json!({ "contract": text, "canonical": contract.canonical(), "sha256": sha256 })
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&vectors).unwrap_or_default());
}
