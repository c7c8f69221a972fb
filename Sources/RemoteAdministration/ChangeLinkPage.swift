import AdministrationAPI
import CloudModel

/// The page behind the link in a notification: says what would change, and changes it only when its button is pressed.
///
/// It needs no script, loads nothing, and cannot be framed. Programs that fetch links in mail get the same page and
/// change nothing, because only the form's POST does.
struct ChangeLinkPage {
    enum Language { case english, chinese }

    private let language: Language

    init(_ call: Call) {
        let wanted = call.headers["accept-language"]?.lowercased() ?? ""
        let chinese = wanted.split(separator: ",").firstIndex { $0.drop { $0 == " " }.hasPrefix("zh") }
        let english = wanted.split(separator: ",").firstIndex { $0.drop { $0 == " " }.hasPrefix("en") }
        language =
            switch (chinese, english) {
            case (.some(let chinese), .some(let english)): chinese < english ? .chinese : .english
            case (.some, nil): .chinese
            default: .english
            }
    }

    func reply(_ offer: ConstraintOffer, isAccepted: Bool) -> Reply {
        let change = Self.escaped("\(offer.constraint.rawValue): \(offer.from) → \(offer.to)")
        let service = Self.escaped(offer.service.rawValue)
        let body: String
        if isAccepted {
            body = """
                <h1>\(text("The limit was changed", "限制已更改"))</h1>
                <p>\(text("Service", "服务")) <b>\(service)</b></p><p class="change">\(change)</p>
                <p>\(text("It is in effect now. You may close this page.", "更改已生效，您可以关闭此页面。"))</p>
                """
        } else {
            body = """
                <h1>\(text("Change a limit?", "要更改限制吗？"))</h1>
                <p>\(text("Service", "服务")) <b>\(service)</b></p><p class="change">\(change)</p>
                <form method="post"><button type="submit">\(text("Change it now", "立即更改"))</button></form>
                <p>\(text("Nothing changes until you press the button. The link works once.",
                    "按下按钮之前不会有任何更改。此链接只能使用一次。"))</p>
                """
        }
        return page(status: 200, body)
    }

    func reply(_ problem: API.Problem) -> Reply {
        let advice = text(
            "Ask an administrator, or use: cloudwright constraint set", "请联系管理员，或使用命令：cloudwright constraint set")
        return page(
            status: problem.status,
            """
            <h1>\(text("Nothing was changed", "未作任何更改"))</h1><p>\(Self.escaped(problem.detail))</p><p>\(advice)</p>
            """)
    }

    private func page(status: Int, _ body: String) -> Reply {
        let html = """
            <!doctype html>
            <html lang="\(language == .chinese ? "zh-CN" : "en")"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex"><title>Cloudwright</title>
            <style>\(Self.style)</style></head>
            <body><main>
            \(body)
            </main></body></html>

            """
        return Reply(
            status: status,
            headers: [
                "content-security-policy": """
                default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; \
                base-uri 'none'
                """,
                "vary": "Accept, Accept-Language",
            ],
            body: .bytes(Array(html.utf8), mediaType: "text/html; charset=utf-8"))
    }

    private func text(_ english: String, _ chinese: String) -> String { language == .chinese ? chinese : english }

    private static let style = """
        :root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
        main{max-width:34rem;margin:12vh auto;padding:0 1.5rem}\
        h1{font-size:1.5rem}\
        .change{font-size:1.25rem;font-variant-numeric:tabular-nums}\
        button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;background:#0b5fff;color:#fff;\
        cursor:pointer}\
        button:focus-visible{outline:3px solid #8ab4ff;outline-offset:2px}
        """

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.append(character)
            }
        }
    }
}
