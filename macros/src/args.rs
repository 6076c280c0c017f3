//! The arguments of the attributes.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Lit, LitBool, LitInt, Path, Result, Token};

/// What may be given, as the error about anything else lists it.
const KNOWN: &str = "`worker_threads = N`, `flavor = \"current_thread\"` or `\"multi_thread\"`, `debug = true`, \
                     `start_paused = true` and `crate = \"path\"`";

/// The flavours of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
}

/// The arguments that were given, checked.
#[derive(Default)]
pub(crate) struct Args {
    flavor: Option<Flavor>,
    worker_threads: Option<LitInt>,
    debug: Option<LitBool>,
    start_paused: Option<LitBool>,
    krate: Option<Path>,
}

impl Args {
    /// The path of the `kumihimo` crate.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::kumihimo), |path| quote!(#path))
    }

    /// The calls that configure a `Runner`'s builder; none if everything is as usual.
    pub(crate) fn builder_calls(&self, default: Flavor) -> TokenStream {
        let flavor = self.flavor.unwrap_or(match self.worker_threads {
            Some(_) => Flavor::MultiThread,
            None => default,
        });
        let flavor = (flavor == Flavor::CurrentThread).then(|| quote!(.current_thread()));
        let threads = self.worker_threads.iter();
        let debug = self.debug.iter();
        let paused = self.start_paused.iter();
        quote! {
            #flavor
            #(.worker_threads(#threads))*
            #(.debug(#debug))*
            #(.start_paused(#paused))*
        }
    }

    fn set(&mut self, name: &Ident, value: &Lit) -> Result<()> {
        match name.to_string().as_str() {
            "worker_threads" => once(name, &mut self.worker_threads, positive(name, value)?),
            "flavor" => once(name, &mut self.flavor, flavor(value)?),
            "debug" => once(name, &mut self.debug, boolean(name, value)?),
            "start_paused" => once(name, &mut self.start_paused, boolean(name, value)?),
            _ => once(name, &mut self.krate, path(value)?),
        }
    }
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Args> {
        let mut args = Args::default();
        let mut threads_at = Span::call_site();
        for Arg { name, value } in Punctuated::<Arg, Token![,]>::parse_terminated(input)? {
            args.set(&name, &value)?;
            if name == "worker_threads" {
                threads_at = name.span();
            }
        }
        if args.flavor == Some(Flavor::CurrentThread) && args.worker_threads.is_some() {
            let text = "the `current_thread` flavor has no worker threads: remove `worker_threads`, or take \
                        `flavor = \"multi_thread\"`";
            return Err(Error::new(threads_at, text));
        }
        Ok(args)
    }
}

/// One `name = literal`.
struct Arg {
    name: Ident,
    value: Lit,
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> Result<Arg> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!("expected an argument; the known ones are {KNOWN}")));
        }
        let name = Ident::parse_any(input)?;
        let example = match name.to_string().as_str() {
            "worker_threads" => "worker_threads = 2",
            "flavor" => "flavor = \"current_thread\"",
            "debug" => "debug = true",
            "start_paused" => "start_paused = true",
            "crate" => "crate = \"kumihimo\"",
            unknown => {
                let text = format!("unknown argument `{unknown}`; the known ones are {KNOWN}");
                return Err(Error::new(name.span(), text));
            }
        };
        if !input.peek(Token![=]) {
            return Err(Error::new(name.span(), format!("`{name}` needs a value, as in `{example}`")));
        }
        input.parse::<Token![=]>()?;
        let value = input.parse().map_err(|error| {
            Error::new(error.span(), format!("the value of `{name}` must be a literal, as in `{example}`"))
        })?;
        Ok(Arg { name, value })
    }
}

fn once<T>(name: &Ident, place: &mut Option<T>, value: T) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(Error::new(name.span(), format!("`{name}` is given twice: remove one of them")));
    }
    Ok(())
}

fn positive(name: &Ident, value: &Lit) -> Result<LitInt> {
    if let Lit::Int(int) = value
        && int.base10_parse::<usize>().is_ok_and(|n| n > 0)
    {
        return Ok(int.clone());
    }
    Err(Error::new(value.span(), format!("the value of `{name}` must be an integer greater than zero")))
}

fn boolean(name: &Ident, value: &Lit) -> Result<LitBool> {
    match value {
        Lit::Bool(bool) => Ok(bool.clone()),
        _ => Err(Error::new(value.span(), format!("the value of `{name}` must be `true` or `false`"))),
    }
}

fn flavor(value: &Lit) -> Result<Flavor> {
    let text = match value {
        Lit::Str(text) => text.value(),
        _ => String::new(),
    };
    match text.as_str() {
        "current_thread" => Ok(Flavor::CurrentThread),
        "multi_thread" => Ok(Flavor::MultiThread),
        _ => Err(Error::new(value.span(), "the flavors are \"current_thread\" and \"multi_thread\"")),
    }
}

fn path(value: &Lit) -> Result<Path> {
    if let Lit::Str(text) = value
        && let Ok(path) = text.parse_with(Path::parse_mod_style)
    {
        return Ok(path);
    }
    Err(Error::new(
        value.span(),
        "the value of `crate` must be a path in quotes, as in `crate = \"kumihimo\"`",
    ))
}
