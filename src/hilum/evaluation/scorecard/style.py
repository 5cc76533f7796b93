"""How the scorecard looks: one plain style sheet, for screen and paper."""

STYLE = """
:root { color-scheme: light; --ink: #1b2430; --soft: #56616f; --line: #dfe4ea; --blue: #0f62a8; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: #fff; max-width: 66rem; margin: 0 auto; padding: 2.2rem 1.4rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .9rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
header ul { margin-top: 1rem; }
p, ul { max-width: 46rem; margin: .4rem 0; } li { margin: .25rem 0; }
.lead { font-size: 1.05rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0 0; }
.tiles div { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; }
.tiles dt { color: var(--soft); font-size: .82rem; } .tiles dd { margin: 0; font-size: 1.5rem; font-weight: 600; line-height: 1.25; }
small { display: block; color: var(--soft); font-size: .78rem; font-weight: 400; line-height: 1.3; white-space: nowrap; }
.tiles small { white-space: normal; font-size: .78rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .5rem 0 .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .32rem 1.1rem .32rem 0; border-bottom: 1px solid var(--line); }
thead th { font-size: .82rem; font-weight: 600; color: var(--soft); vertical-align: bottom; border-bottom: 1px solid #aab4bf; }
tbody th { font-weight: 500; } .figures td { line-height: 1.3; } .small { font-size: .87rem; } .small small { white-space: normal; }
td b { color: #9c3d06; } td b small { color: #9c3d06; }
.none { color: #8993a0; font-size: .85rem; } .note { color: var(--soft); font-size: .88rem; }
.facts th, .claim th { width: 11rem; } .claim th:first-child { width: 3.5rem; } .claim th:nth-child(2) { width: 21rem; } .claim th:nth-child(3) { width: 6rem; } .facts thead { display: none; } .facts th { white-space: nowrap; color: var(--soft); font-weight: 500; }
.facts td { overflow-wrap: anywhere; } .claim .yes { color: #0b6b4f; } .claim .part { color: var(--ink); } .claim .no { color: #9c3d06; }
code { font: .86em ui-monospace, monospace; overflow-wrap: anywhere; }
.legend span { display: inline-block; margin-right: 1.3rem; font-size: .88rem; white-space: nowrap; } .legend { max-width: none; }
.key { width: 26px; height: 10px; margin-right: .4rem; vertical-align: middle; } .key path { fill: none; }
.grid-of-plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(29rem, 1fr)); gap: 1.1rem 1.4rem; margin-top: .6rem; }
figure { margin: 0; break-inside: avoid; } figcaption { font-weight: 600; } figcaption small { display: inline; margin-left: .4rem; }
.small-plots { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); } .small-plots .plot { width: 100%; } .plot { width: 32.8%; height: auto; } .forest { width: 120px; height: 14px; vertical-align: -1px; }
svg .area { fill: #fbfcfd; stroke: #aab4bf; stroke-width: .8; } svg .grid { stroke: #e9edf1; stroke-width: .8; fill: none; }
svg .chance { stroke: #b3bcc6; stroke-width: 1; fill: none; } svg .mark { stroke: #b3bcc6; stroke-width: 1; } svg .whisker { stroke: #0f62a8; stroke-width: 1.4; fill: none; }
svg .cut { fill: #fff; stroke: #0f62a8; stroke-width: 1.6; } svg text { font: 8.5px system-ui, sans-serif; fill: var(--soft); } svg .axis { font-size: 9px; fill: var(--ink); }
.disclaimer { border: 1px solid #8a95a3; border-radius: .4rem; padding: .6rem .9rem; margin-top: 2.4rem; max-width: none; }
@media (max-width: 40rem) { .grid-of-plots { grid-template-columns: 1fr; } }
@media print { body { padding: 0; font-size: 11px; max-width: none; } h2, h3 { break-after: avoid; } tr, .tiles div { break-inside: avoid; } thead { display: table-header-group; }
  .grid-of-plots { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; } th, td { padding-right: .6rem; } }
"""  # noqa: E501
