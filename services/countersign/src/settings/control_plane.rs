use super::{Fields, Mistakes, signer::identity};
use control_plane::Config;
use std::path::Path;

/// What a control plane is told.
pub fn control_plane(file: Option<&Path>) -> Result<Config, Mistakes> {
    let mut f = Fields::read(file)?;
    let listen = f.optional("listen");
    let database: Option<String> = f.required("database");
    let operator = f.required("operator");
    let (sequencer, _) = identity(&mut f, "sequencer");
    let (issuer, _) = identity(&mut f, "issuer");
    let anchor = f.path("anchor");
    let (holder, accept) = (f.optional("holder"), f.optional("accept_missing_anchor"));
    let config = (|| {
        let (sequencer, issuer) = (sequencer?, issuer?);
        let (sequencer, issuer) = (sequencer.key().as_bytes(), issuer.key().as_bytes());
        let mut config = Config::new(database?, operator?, sequencer, issuer, anchor?);
        config.listen = listen.unwrap_or(config.listen);
        config.holder = holder.unwrap_or(config.holder);
        config.accept_missing_anchor = accept.unwrap_or(false);
        Some(config)
    })();
    f.finish(config)
}
