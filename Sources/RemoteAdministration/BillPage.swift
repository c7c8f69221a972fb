import AdministrationAPI
import CloudModel
import PayPerUse

/// A bill as a page to read and to print: one file without script that loads nothing.
struct BillPage {
    static let mediaType = "text/html; charset=utf-8"

    /// Who sends it: the cloud's name.
    let issuer: String

    func reply(_ bill: Bill) -> Reply {
        Reply(
            status: 200,
            headers: [
                "content-security-policy":
                    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
            ],
            body: .bytes(Array(html(bill).utf8), mediaType: Self.mediaType))
    }

    private func html(_ bill: Bill) -> String {
        let name = bill.consumerName.isEmpty ? bill.consumer.rawValue : bill.consumerName
        let state = bill.closedAt.map { "Closed \(Self.minute($0))" } ?? "Open: it can still change"
        let rows = bill.lines.map { row($0, bill) }.joined(separator: "\n")
        let held =
            bill.held.minorUnits == 0
            ? "" : "<tr><td colspan=\"4\">Not due yet (held)</td><td>\(Self.escaped(bill.held.description))</td></tr>"
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex"><title>\(Self.escaped(bill.id))</title>
            <style>\(Self.style)</style></head>
            <body><main>
            <header><h1>Bill \(Self.escaped(bill.id))</h1><p>\(Self.escaped(issuer))</p></header>
            <dl>
            <dt>For</dt><dd>\(Self.escaped(name))</dd>
            <dt>Month</dt><dd>\(bill.month) (\(Self.escaped(bill.plan.timeZone)))</dd>
            <dt>From</dt><dd>\(Self.minute(bill.window.start))</dd>
            <dt>Until</dt><dd>\(Self.minute(bill.window.end))</dd>
            <dt>Prices</dt><dd>\(Self.escaped(bill.plan.id.rawValue))</dd>
            <dt>State</dt><dd>\(state); what was known at \(Self.minute(bill.cutoff)) is counted</dd>
            </dl>
            <table>
            <thead><tr><th>What</th><th>Quantity</th><th>Charged</th><th>Price</th><th>Amount</th></tr></thead>
            <tbody>
            \(rows)
            </tbody>
            <tfoot>\(held)
            <tr><th colspan="4">Total due</th><th>\(Self.escaped(bill.total.description))</th></tr></tfoot>
            </table>
            <p>Each line is rounded once to the currency's minor unit (\(bill.plan.rounding.rawValue)). A closed bill
            never changes; what is found out later is a correction in a later one.</p>
            </main></body></html>

            """
    }

    private func row(_ line: BillLine, _ bill: Bill) -> String {
        let notes =
            (line.isInferred ? ["partly inferred"] : []) + (line.hold.map { ["held: \($0)"] } ?? [])
        let note = notes.isEmpty ? "" : "<br><small>\(Self.escaped(notes.joined(separator: "; ")))</small>"
        let priced = line.kind == .usage || line.kind == .fixed
        let cells = [
            Self.escaped(line.text) + note, priced ? Self.escaped(line.quantity) : "",
            priced ? Self.escaped("\(line.pricedQuantity) \(line.pricedUnit)") : "",
            Self.escaped(line.unitPrice?.description ?? ""), Self.escaped(bill.money(line.minorUnits).amount),
        ]
        let tone = line.hold == nil ? "" : " class=\"held\""
        return "<tr\(tone)>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
    }

    /// In UTC.
    private static func minute(_ time: Timestamp) -> String {
        time.rfc3339.prefix(16).replacing("T", with: " ") + " UTC"
    }

    private static let style = """
        :root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\
        main{max-width:60rem;margin:2rem auto;padding:0 1.5rem}\
        header{display:flex;justify-content:space-between;align-items:baseline;flex-wrap:wrap}\
        h1{font-size:1.4rem;margin:0}\
        dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{font-weight:600}dd{margin:0}\
        table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}\
        th,td{text-align:right;padding:.35rem .5rem;border-bottom:1px solid #8886;vertical-align:top;\
        overflow-wrap:anywhere}\
        th:first-child,td:first-child{text-align:left}\
        tfoot td[colspan],tfoot th[colspan]{text-align:left}\
        .held td{color:#8a5a00}\
        @media print{:root{color-scheme:light;font-size:10pt}main{margin:0;max-width:none;padding:0}\
        tr{break-inside:avoid}thead{display:table-header-group}}
        """

    private static func escaped(_ text: String) -> String { ChangeLinkPage.escaped(text) }
}
