import Foundation
import FoundationXML

/// What libvirt says in XML, as a flat list in document order: enough to look values up by their path.
struct XMLElements {
    struct Element {
        /// Names from the root on, with slashes (`domain/devices/disk`); prefixes of name spaces are left out.
        var path: String
        var attributes: [String: String]
        var text: String
    }

    private(set) var all: [Element] = []

    /// Nil where the text is no well-formed document.
    init?(_ text: String) {
        let parser = XMLParser(data: Data(text.utf8))
        let collector = Collector()
        parser.delegate = collector
        guard parser.parse() else { return nil }
        all = collector.elements
    }

    func first(_ path: String) -> Element? { all.first { $0.path == path } }
    func text(_ path: String) -> String? { first(path)?.text.trimmingCharacters(in: .whitespacesAndNewlines) }

    private final class Collector: NSObject, XMLParserDelegate {
        var elements: [Element] = []
        private var open: [Int] = []

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            let local = name.split(separator: ":").last.map(String.init) ?? name
            let parent = open.last.map { elements[$0].path + "/" } ?? ""
            open.append(elements.count)
            elements.append(Element(path: parent + local, attributes: attributes, text: ""))
        }

        func parser(_ parser: XMLParser, foundCharacters text: String) {
            if let current = open.last { elements[current].text += text }
        }

        func parser(
            _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
        ) {
            _ = open.popLast()
        }
    }
}

/// An element to be written; texts and attributes are escaped.
struct XMLNode {
    var name: String
    var attributes: [(String, String)]
    var text: String?
    var children: [XMLNode]

    init(_ name: String, _ attributes: [(String, String)] = [], text: String? = nil) {
        self.init(name, attributes, [], text: text)
    }

    init(_ name: String, _ children: [XMLNode]) { self.init(name, [], children) }

    init(_ name: String, _ attributes: [(String, String)], _ children: [XMLNode], text: String? = nil) {
        self.name = name
        self.attributes = attributes
        self.text = text
        self.children = children
    }

    var written: String {
        let heads = attributes.map { " \($0.0)='\(Self.escaped($0.1))'" }.joined()
        let body = (text.map(Self.escaped) ?? "") + children.map(\.written).joined()
        return body.isEmpty ? "<\(name)\(heads)/>" : "<\(name)\(heads)>\(body)</\(name)>"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "'": result += "&apos;"
            case "\"": result += "&quot;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
