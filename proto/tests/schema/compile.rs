//! Compiles a proto file given as text, for the bad examples.

use prost_types::FileDescriptorSet;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

struct OneFile {
    name: String,
    text: String,
}

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == self.name { File::from_source(name, &self.text) } else { Err(protox::Error::file_not_found(name)) }
    }
}

/// The descriptor set of one file, with source information.
pub fn one(name: &str, text: &str) -> FileDescriptorSet {
    let mut resolver = ChainFileResolver::new();
    resolver.add(OneFile { name: name.to_owned(), text: text.to_owned() });
    resolver.add(GoogleFileResolver::new());
    Compiler::with_file_resolver(resolver)
        .include_source_info(true)
        .include_imports(true)
        .open_file(name)
        .expect("the example compiles")
        .file_descriptor_set()
}
