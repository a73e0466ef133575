use super::{open_order::amount, show};
use crate::{
    connection::{Connection, ConnectionArgs},
    failure::Usage,
    output::Output,
    sending::{self, Kept},
};
use anyhow::Context as _;
use client::{ClientError, Speaker, Statement};
use domain::{AccountId, Amount, AssetId, Bps, Cid, Did, LineItem, NodeUrl, OrderId, Payout, Split, Time};
use messages::ProblemType;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The command that carries a payout.
pub const PAYOUT: &str = "/proposal/payout";

/// How the commands of proposals begin.
const PROPOSALS: &str = "/proposal/";

/// What says what a payout is; what was signed says it already.
pub const OTHERS: [&str; 7] = ["file", "order", "asset", "total", "splits", "items", "valid_for"];

/// A payout, by flags or as a file.
#[derive(Clone, Debug, clap::Args)]
pub struct PayoutArgs {
    /// The payout as JSON (the args of /proposal/payout); without `valid_until`, --valid-for counts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["order", "asset", "total", "splits", "items"])]
    file: Option<PathBuf>,
    /// The order whose escrow pays
    #[arg(long, required_unless_present_any = ["file", "container"])]
    order: Option<OrderId>,
    /// The asset (CAIP-19)
    #[arg(long, required_unless_present_any = ["file", "container"])]
    asset: Option<AssetId>,
    /// The whole, in minor units
    #[arg(long, value_parser = amount, allow_negative_numbers = true, required_unless_present_any = ["file", "container"])]
    total: Option<Amount>,
    /// Who gets which share in basis points; shares sum to 10000
    #[arg(long = "split", value_name = "ACCOUNT=BPS", value_parser = share, required_unless_present_any = ["file", "container"])]
    splits: Vec<(AccountId, Bps)>,
    /// What it is for; items sum to the total
    #[arg(long = "item", value_name = "TEXT=UNITS", value_parser = item)]
    items: Vec<LineItem>,
    /// For how many seconds the payout may execute
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    valid_for: u64,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "An installation asks for its short-lived token by itself.\n\n\
                        Examples:\n  countersign propose --as plugin --file payout.json\n  \
                        countersign propose --as plugin --order order-1 --asset eip155:31337/erc20:0x… --total 120000000 \\\n    \
                        --split eip155:31337:0x…=7000 --split eip155:31337:0x…=3000\n  \
                        countersign propose --container proposal.ucan     the same bytes again, the same answer")]
pub struct Command {
    #[command(flatten)]
    payout: PayoutArgs,
    /// Send this signed proposal instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = OTHERS)]
    container: Option<PathBuf>,
    /// Keep the signed proposal in a file. Without it, one is kept only while it is not known whether the log has taken it
    #[arg(long, value_name = "FILE", conflicts_with = "container")]
    save: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// `ACCOUNT=BPS`
pub fn share(text: &str) -> Result<(AccountId, Bps), String> {
    let (account, bps) = text.split_once('=').ok_or("expected ACCOUNT=BPS")?;
    let bps: u16 = bps.parse().map_err(|_| "a share is a number of basis points".to_owned())?;
    let bps = Bps::new(bps).map_err(|e| e.to_string())?;
    Ok((account.parse().map_err(|e: domain::ParseAccountError| e.to_string())?, bps))
}

fn item(text: &str) -> Result<LineItem, String> {
    let (description, units) = text.rsplit_once('=').ok_or("expected TEXT=UNITS")?;
    let description = description.parse().map_err(|e: domain::ParseNameError| e.to_string())?;
    Ok(LineItem { description, amount: amount(units)? })
}

/// A payout as a file has it: [`Payout`], which need not say until when it is valid.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    order: OrderId,
    asset: AssetId,
    total: Amount,
    splits: Vec<Split>,
    #[serde(default)]
    line_items: Vec<LineItem>,
    valid_until: Option<Time>,
}

/// Reads a draft; an error says which field is wrong, and where. No name may stand there twice: another reader of the same
/// file could take the other value.
fn draft(text: &[u8]) -> Result<Draft, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut json);
    let draft = read.map_err(|error| match ledger::field_of(&error) {
        field if field.is_empty() => error.inner().to_string(),
        field => format!("{field}: {}", error.inner()),
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(draft)
}

impl PayoutArgs {
    /// The payout that is meant.
    pub fn payout(self, now: Time) -> anyhow::Result<Payout> {
        let valid_until = now.plus(self.valid_for);
        if let Some(file) = self.file {
            let text = fs::read(&file).map_err(|e| Usage(format!("cannot read {}: {e}", file.display())))?;
            let Draft { order, asset, total, splits, line_items, valid_until: told } =
                draft(&text).map_err(|e| Usage(format!("{}: {e}", file.display())))?;
            let valid_until = told.unwrap_or(valid_until);
            return Ok(Payout { order, asset, total, splits, line_items, valid_until });
        }
        let missing = || Usage("give --file, or --order, --asset, --total and --split".to_owned());
        Ok(Payout {
            order: self.order.ok_or_else(missing)?,
            asset: self.asset.ok_or_else(missing)?,
            total: self.total.ok_or_else(missing)?,
            splits: self.splits.into_iter().map(|(recipient, bps)| Split { recipient, bps }).collect(),
            line_items: self.items,
            valid_until,
        })
    }
}

/// Proposes, and shows what policy decided.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let (what, said, kept) = if let Some(file) = command.container {
        let (what, said) = sending::read(&file)?;
        if !what.starts_with(PROPOSALS) {
            let file = file.display();
            return Err(Usage(format!("{file}: this is {what}, and no proposal; `countersign resend` sends it")).into());
        }
        let kept = Kept::found(said.id, &file);
        (what, said, kept)
    } else {
        let payout = command.payout.payout(connection.ambient().now())?;
        let said = prepare(&connection, &payout).await?;
        let kept = match &command.save {
            Some(file) => Kept::save(&said, file)?,
            None => Kept::nowhere(said.id),
        };
        // Whatever becomes of the answer, it can be asked for by this.
        out.aside(&Signed { signed: said.id }, &format!("signed proposal {}", said.id));
        (PAYOUT.to_owned(), said, kept)
    };
    let reply = sending::send(&connection, *out, &what, &said, kept).await?;
    out.show(&reply, &show::reply("proposed", &reply))?;
    Ok(show::exit(reply.status))
}

/// A signed proposal that was kept in a file.
pub fn saved(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(file).map_err(|e| Usage(format!("cannot read {}: {e}", file.display())))?;
    Ok(bytes.trim_ascii().to_vec())
}

/// Signs a proposal, ready to be sent.
pub async fn prepare(connection: &Connection, payout: &Payout) -> anyhow::Result<Statement> {
    say(connection, PAYOUT, payout).await
}

/// Signs something about a payout: that it is proposed, or a question.
pub async fn say(connection: &Connection, command: &str, payout: &Payout) -> anyhow::Result<Statement> {
    let tenant = connection.tenant()?;
    Ok(speaker(connection, command, tenant).await?.say(command, tenant, payout)?)
}

#[derive(Serialize)]
struct Signed {
    signed: Cid,
}

#[derive(Serialize)]
struct TokenArgs {
    tenant: Did,
}

/// Who speaks: by the delegations at hand, else by a token that the control plane's issuer gives an installation.
pub async fn speaker(connection: &Connection, command: &str, tenant: Did) -> anyhow::Result<Speaker> {
    let mut delegations = connection.delegations()?;
    let speaker = connection.speaker_with(delegations.clone())?;
    if speaker.may(command, tenant) {
        return Ok(speaker);
    }
    let installation = speaker.identity().did();
    let request = speaker.say("/installation/token", installation, &TokenArgs { tenant })?;
    let at = connection.url()?;
    let token = connection.public()?.token(&installation, &request.container).await;
    let token = token.map_err(|error| refused(error, installation, tenant, &at))?;
    delegations.add_container(token.container.as_bytes()).context("the token cannot be read")?;
    Ok(Speaker::new(speaker.identity().clone(), delegations, connection.sequencer()?, connection.ambient().clone()))
}

/// Says what a control plane that gives no token does not have, and what to do.
fn refused(error: ClientError, key: Did, tenant: Did, at: &NodeUrl) -> anyhow::Error {
    let missing = match error.problem() {
        Some(ProblemType::NotFound) => format!(
            "{key} is no installation of tenant {tenant} at {at}: speak with the key of one, by --as or --key; anybody else \
             needs delegations of the tenant's, in --delegations"
        ),
        Some(ProblemType::UnknownReference) => {
            format!("there is no tenant {tenant} at {at}: name another --tenant or --control-plane")
        }
        _ => return error.into(),
    };
    anyhow::Error::from(error).context(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "eip155:31337:0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

    fn text(total: &str, splits: &str, more: &str) -> String {
        format!(
            r#"{{"order": "order-1", "asset": "eip155:31337/slip44:60", "total": {total}, "splits": [{splits}]{more}}}"#
        )
    }

    #[test]
    fn what_is_wrong_with_a_draft_is_told_by_field_and_place() {
        let split = format!(r#"{{"recipient": "{ACCOUNT}", "bps": 10000}}"#);
        let sound = |total: &str| text(total, &split, "");
        assert!(draft(sound("120").as_bytes()).is_ok_and(|d| d.total.get() == 120 && d.valid_until.is_none()));
        let ends = text("120", &split, r#", "valid_until": 5"#);
        assert!(draft(ends.as_bytes()).is_ok_and(|d| d.valid_until == Some(Time::from_unix(5))));
        let twice = format!(r#"{{"recipient": "{ACCOUNT}", "bps": 10000, "bps": 1}}"#);
        for (text, field, why) in [
            (sound("100.5"), "total: ", "100.5"),
            (sound("-5"), "total: ", "-5"),
            (sound("1e2"), "total: ", "100.0"),
            (sound("\"120\""), "total: ", "\"120\""),
            (sound("0"), "total: ", "at least 1"),
            (sound("9007199254740992"), "total: ", "at most 2^53-1"),
            (sound("18446744073709551616"), "total: ", "expected u64"),
            (text("100", &split, r#", "total": 200"#), "total: ", "duplicate field"),
            (text("100", &twice, ""), "splits[0].bps: ", "duplicate field"),
            (text("100", &split, r#", "memo": "x""#), "memo: ", "unknown field"),
            (text("100", r#"{"recipient": "x", "bps": 1}"#, ""), "splits[0].recipient: ", ""),
            (r#"{"order": "order-1"}"#.to_owned(), "asset: ", "missing field"),
            (sound("120") + "{}", "", "trailing characters"),
            ("[]".to_owned(), "", ""),
            (String::new(), "", "EOF"),
        ] {
            let error = draft(text.as_bytes()).err().unwrap_or_else(|| format!("taken: {text}"));
            assert!(
                error.starts_with(field) && error.contains(why) && error.contains("line 1 column "),
                "{text}: {error}"
            );
        }
    }
}
