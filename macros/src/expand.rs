//! Writes the function.

use proc_macro2::{Group, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Result, Safety, Signature, Visibility, parse2};

use crate::args::{Args, Flavor};

/// Which of the two attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

/// A function whose body is only passed on.
struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Function> {
        Ok(Function {
            attrs: input.call(Attribute::parse_outer)?,
            vis: input.parse()?,
            sig: input.parse()?,
            body: input.parse()?,
        })
    }
}

/// The expansion of one attribute.
///
/// Where there is an error, what follows it lets the compiler find nothing else to complain about.
pub(crate) fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            // Not a function, or one that is being typed: kept as it is for editors.
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    match check(kind, &function).and_then(|()| parse2::<Args>(args)) {
        Ok(args) => write(kind, &args, function),
        Err(error) => {
            let error = error.to_compile_error();
            let stand_in = stand_in(kind, &function);
            quote!(#error #stand_in)
        }
    }
}

/// What the rest of the program may refer to although there was an error.
fn stand_in(kind: Kind, function: &Function) -> TokenStream {
    let (vis, name) = (&function.vis, &function.sig.ident);
    match kind {
        Kind::Main => quote!(#vis fn #name() {}),
        // Nothing refers to a test.
        Kind::Test => TokenStream::new(),
    }
}

fn check(kind: Kind, function: &Function) -> Result<()> {
    let (attribute, signature) = match kind {
        Kind::Main => ("#[kumihimo::main]", &function.sig),
        Kind::Test => ("#[kumihimo::test]", &function.sig),
    };
    if signature.asyncness.is_none() {
        let text = format!("the `async` keyword is missing: {attribute} is for `async fn`");
        return Err(Error::new_spanned(signature.fn_token, text));
    }
    if !signature.inputs.is_empty() {
        let text = format!("a function with {attribute} takes no arguments");
        return Err(Error::new_spanned(&signature.inputs, text));
    }
    if !signature.generics.params.is_empty() {
        let text = format!("a function with {attribute} can't be generic: nobody chooses its parameters");
        return Err(Error::new_spanned(&signature.generics, text));
    }
    if let Some(clause) = &signature.generics.where_clause {
        return Err(Error::new_spanned(clause, format!("a function with {attribute} has no `where` clause")));
    }
    if let Safety::Unsafe(word) = &signature.safety {
        return Err(Error::new_spanned(word, format!("a function with {attribute} can't be `unsafe`")));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, format!("a function with {attribute} can't be `extern`")));
    }
    let second =
        function.attrs.iter().find(|attr| attr.path().segments.last().is_some_and(|s| s.ident == "test"));
    match second {
        Some(second) if kind == Kind::Test => {
            Err(Error::new_spanned(second, "the test would run twice: remove this attribute"))
        }
        _ => Ok(()),
    }
}

fn write(kind: Kind, args: &Args, function: Function) -> TokenStream {
    let krate = args.krate();
    let (default, test) = match kind {
        Kind::Main => (Flavor::MultiThread, None),
        Kind::Test => (Flavor::CurrentThread, Some(quote!(#[::core::prelude::v1::test]))),
    };
    let calls = args.builder_calls(default);
    let Function { attrs, vis, mut sig, body } = function;
    let inner = quote!(#sig #body);
    sig.asyncness = None;
    let name = &sig.ident;
    let run = if calls.is_empty() {
        quote!(#krate::run(#name()))
    } else {
        quote!(#krate::__private::run_with(#krate::Runner::builder() #calls, #name()))
    };
    quote! {
        #test
        #(#attrs)*
        #vis #sig {
            #inner
            #run
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn tokens(text: &str) -> TokenStream {
        TokenStream::from_str(text).unwrap()
    }

    /// Compares as tokens, so that layout does not matter.
    #[track_caller]
    fn expands(kind: Kind, args: &str, item: &str, expected: &str) {
        let bare = |tokens: TokenStream| tokens.to_string().replace(char::is_whitespace, "");
        assert_eq!(bare(expand(kind, tokens(args), tokens(item))), bare(tokens(expected)));
    }

    #[track_caller]
    fn fails(kind: Kind, args: &str, item: &str, message: &str) {
        let expansion = expand(kind, tokens(args), tokens(item)).to_string();
        assert!(expansion.contains("compile_error"), "{expansion}");
        let text = expansion.replace("\\\"", "\"");
        assert!(text.contains(message), "{text}");
    }

    const MAIN: &str = "async fn main() { work().await }";

    #[test]
    fn main_without_arguments_runs() {
        expands(
            Kind::Main,
            "",
            "/// Text.\n pub async fn main() -> Result<(), E> { work().await?; Ok(()) }",
            "/// Text.\n pub fn main() -> Result<(), E> {
                async fn main() -> Result<(), E> { work().await?; Ok(()) }
                ::kumihimo::run(main())
            }",
        );
    }

    #[test]
    fn main_with_arguments_configures_a_runner() {
        expands(
            Kind::Main,
            "worker_threads = 4, debug = true, start_paused = false,",
            MAIN,
            "fn main() {
                async fn main() { work().await }
                ::kumihimo::__private::run_with(
                    ::kumihimo::Runner::builder().worker_threads(4).debug(true).start_paused(false),
                    main()
                )
            }",
        );
        expands(
            Kind::Main,
            "flavor = \"current_thread\", crate = \"crate::asyncio\"",
            MAIN,
            "fn main() {
                async fn main() { work().await }
                crate::asyncio::__private::run_with(crate::asyncio::Runner::builder().current_thread(), main())
            }",
        );
        expands(
            Kind::Main,
            "flavor = \"multi_thread\"",
            MAIN,
            "fn main() { async fn main() { work().await } ::kumihimo::run(main()) }",
        );
    }

    #[test]
    fn a_test_runs_on_the_calling_thread() {
        expands(
            Kind::Test,
            "",
            "#[should_panic(expected = \"no\")] async fn it() { panic!(\"no\") }",
            "#[::core::prelude::v1::test]
            #[should_panic(expected = \"no\")]
            fn it() {
                async fn it() { panic!(\"no\") }
                ::kumihimo::__private::run_with(::kumihimo::Runner::builder().current_thread(), it())
            }",
        );
    }

    #[test]
    fn a_test_with_worker_threads_runs_on_them() {
        expands(
            Kind::Test,
            "worker_threads = 2, start_paused = true",
            "async fn it() -> io::Result<()> { Ok(()) }",
            "#[::core::prelude::v1::test]
            fn it() -> io::Result<()> {
                async fn it() -> io::Result<()> { Ok(()) }
                ::kumihimo::__private::run_with(
                    ::kumihimo::Runner::builder().worker_threads(2).start_paused(true),
                    it()
                )
            }",
        );
        expands(
            Kind::Test,
            "flavor = \"multi_thread\"",
            "async fn it() {}",
            "#[::core::prelude::v1::test] fn it() { async fn it() {} ::kumihimo::run(it()) }",
        );
    }

    #[test]
    fn functions_that_do_not_fit_are_refused() {
        fails(
            Kind::Main,
            "",
            "fn main() {}",
            "the `async` keyword is missing: #[kumihimo::main] is for `async fn`",
        );
        fails(Kind::Test, "", "fn it() {}", "the `async` keyword is missing: #[kumihimo::test]");
        fails(Kind::Main, "", "async fn main(args: Vec<String>) {}", "takes no arguments");
        fails(Kind::Test, "", "async fn it(&self) {}", "takes no arguments");
        fails(Kind::Main, "", "async fn main<T>() {}", "can't be generic");
        fails(Kind::Main, "", "async fn main() where u8: Copy {}", "has no `where` clause");
        fails(Kind::Main, "", "async unsafe fn main() {}", "can't be `unsafe`");
        fails(Kind::Main, "", "async extern \"C\" fn main() {}", "can't be `extern`");
        fails(Kind::Test, "", "#[test] async fn it() {}", "the test would run twice");
        fails(Kind::Main, "", "struct Main;", "expected");
    }

    #[test]
    fn arguments_that_do_not_fit_are_refused() {
        let unknown = "unknown argument `threads`; the known ones are `worker_threads = N`, `flavor = \
                       \"current_thread\"` or `\"multi_thread\"`, `debug = true`, `start_paused = true` and `crate = \
                       \"path\"`";
        fails(Kind::Main, "threads = 4", MAIN, unknown);
        fails(Kind::Main, "4", MAIN, "expected an argument; the known ones are");
        fails(Kind::Main, "current_thread", MAIN, "unknown argument `current_thread`");
        fails(Kind::Main, "debug", MAIN, "`debug` needs a value, as in `debug = true`");
        fails(
            Kind::Main,
            "debug = yes",
            MAIN,
            "the value of `debug` must be a literal, as in `debug = true`",
        );
        fails(Kind::Main, "debug = 1", MAIN, "the value of `debug` must be `true` or `false`");
        fails(Kind::Main, "debug = true, debug = true", MAIN, "`debug` is given twice");
        fails(Kind::Main, "worker_threads = 0", MAIN, "must be an integer greater than zero");
        fails(Kind::Main, "worker_threads = \"2\"", MAIN, "must be an integer greater than zero");
        fails(
            Kind::Main,
            "flavor = \"threads\"",
            MAIN,
            "the flavors are \"current_thread\" and \"multi_thread\"",
        );
        fails(Kind::Main, "crate = \"1\"", MAIN, "must be a path in quotes");
        fails(
            Kind::Test,
            "worker_threads = 2, flavor = \"current_thread\"",
            "async fn it() {}",
            "the `current_thread` flavor has no worker threads",
        );
    }

    #[test]
    fn after_an_error_main_still_exists() {
        let expansion = expand(Kind::Main, tokens("4"), tokens(MAIN)).to_string();
        assert!(expansion.ends_with(&tokens("fn main() {}").to_string()), "{expansion}");
    }
}
