/// What the console's pages look like beyond what all pages have.
enum ConsoleStyle {
  static let text = """
    main{max-width:60rem}
    header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;justify-content:space-between;align-items:center;\
    padding:.25rem 1rem;background:var(--tint);border-bottom:1px solid var(--line)}
    nav{display:flex;flex-wrap:wrap}
    nav a{padding:.65rem .6rem;min-height:2.75rem;font-weight:600}
    nav a[aria-current]{box-shadow:inset 0 -3px var(--go)}
    header form{display:flex;align-items:center;gap:.5rem}
    a{color:var(--go)}
    #state{margin:0 0 .75rem}
    h2{font-size:1.1rem;margin:1.75rem 0 .5rem}
    ul,ol{list-style:none;margin:0;padding:0}
    li,.card{border:1px solid var(--line);border-radius:.5rem;margin:0 0 .6rem;padding:.6rem .8rem;overflow-wrap:anywhere}
    .who{display:flex;flex-wrap:wrap;gap:.25rem .6rem;align-items:baseline}
    .hint{margin:0}
    .tag{font-size:.8rem;color:var(--soft);border:1px solid var(--line);border-radius:1rem;padding:0 .5rem}
    .tag.sure{color:var(--go);border-color:var(--go)}
    .count{font-weight:600;color:var(--warn)}
    .said{margin:.4rem 0 0;padding:.4rem .6rem;background:var(--tint);border-radius:.3rem;\
    white-space:pre-wrap;unicode-bidi:isolate;max-height:24rem;overflow:auto;contain:content}
    textarea.text,select.text,input.text{width:100%}
    textarea.text{min-height:5.5rem;resize:vertical}
    .buttons{margin-top:.6rem}
    .buttons button,button.small{flex:0 1 auto;padding:.4rem .9rem;min-height:2.75rem}
    .answer{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin-top:.5rem}
    .answer input.text{flex:1 1 12rem;width:auto}
    details{margin-top:.5rem}
    summary{cursor:pointer;padding:.5rem 0}
    table{border-collapse:collapse;width:100%}
    th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line)}
    td:last-child{font-variant-numeric:tabular-nums}
    svg{width:100%;height:auto;max-width:40rem}
    svg .bar{fill:var(--go)}
    svg text{fill:var(--ink);font:12px system-ui,sans-serif}
    svg .axis{stroke:var(--soft)}
    .skip{position:absolute;left:-99rem}
    .skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.5rem}
    """
}
