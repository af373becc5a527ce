//! Writes the library's src/gen from the contracts' descriptors: cargo run --package generate -- ../../gen/descriptors.binpb src/gen

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, descriptors, folder] = env::args().collect::<Vec<_>>().try_into().map_err(|_| "usage: generate DESCRIPTORS FOLDER")?;
    let mut files = FileDescriptorSet::decode(fs::read(descriptors)?.as_slice())?;
    // Rules for servers, which a client does not need.
    files.file.retain(|file| !["buf.validate", "google.api"].contains(&file.package()));
    if Path::new(&folder).exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .include_file("mod.rs")
        .out_dir(&folder)
        .compile_fds(files)?;
    Ok(())
}
