use super::show;
use crate::{
    connection::ConnectionArgs,
    output::Output,
    sending::{self, Kept},
};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For what was sent and never answered: the log takes the same bytes once, and answers as it did then. No\n\
                        key is needed.\n\n\
                        Example:\n  countersign resend bafyrei….ucan --control-plane http://127.0.0.1:7700"
)]
pub struct Command {
    /// The signed statement, as a command without an answer or `propose --save` kept it
    file: PathBuf,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Sends a kept statement, and shows what the log says of it.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let (what, said) = sending::read(&command.file)?;
    let reply = sending::send(&connection, *out, &what, &said, Kept::found(said.id, &command.file)).await?;
    out.show(&reply, &show::reply(&what, &reply))?;
    Ok(show::exit(reply.status))
}
