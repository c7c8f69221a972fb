package import CloudModel

/// A hash over all that an instance is started with, so that a changed template is told from the same one.
private struct TemplateDigest {
    private var hash = FNV1a()

    mutating func add(_ text: String) { hash.add(part: text) }
    mutating func add(_ number: Int?) { add(number.map(String.init) ?? "") }
    mutating func add(_ size: ByteCount?) { add(size.map { String($0.bytes) } ?? "") }

    var text: String { String(hash.value, radix: 16) }
}

extension ProcessTemplate {
    /// Not over `stopGrace`, which is applied when it stops.
    var digest: String {
        var digest = TemplateDigest()
        for word in command { digest.add(word) }
        for name in environment.keys.sorted() { digest.add("\(name)=\(environment[name] ?? "")") }
        digest.add(workingDirectory ?? "")
        digest.add(outputLimit)
        digest.add(limits.cpuMillicores)
        digest.add(limits.memory)
        return digest.text
    }
}

extension VirtualServerTemplate {
    /// Not over what counts only when it is placed or stopped.
    var digest: String {
        var digest = TemplateDigest()
        digest.add(flavor.virtualCPUs)
        digest.add(flavor.cpuMillicores)
        digest.add(flavor.memory)
        digest.add(flavor.maximumVirtualCPUs)
        digest.add(flavor.maximumMemory)
        for disk in disks {
            digest.add(disk.path)
            digest.add(disk.format.rawValue)
            digest.add(disk.image ?? "")
            digest.add(disk.imageFormat?.rawValue ?? "")
            digest.add(disk.size)
        }
        for text in [bridge, directBoot?.kernel, directBoot?.initialRamdisk, directBoot?.commandLine] {
            digest.add(text ?? "")
        }
        for text in [seed?.userData, seed?.metaData, seed?.networkConfig] { digest.add(text ?? "") }
        // Nothing where there is none: what was started before there were any is the same still.
        if let display { digest.add(display.rawValue) }
        digest.add(Int(port))
        return digest.text
    }
}

extension CloudService {
    var virtualServerTemplate: VirtualServerTemplate? {
        if case .virtualServer(let template) = instances { template } else { nil }
    }

    var fixedEndpoints: [Endpoint]? {
        if case .endpoints(let endpoints) = instances { endpoints } else { nil }
    }

    /// Of what instances are started from; nil for fixed endpoints.
    var templateDigest: String? {
        switch instances {
        case .process(let template): template.digest
        case .virtualServer(let template): template.digest
        case .endpoints: nil
        }
    }

    var stopGrace: TimeSpan? {
        switch instances {
        case .process(let template): template.stopGrace
        case .virtualServer(let template): template.stopGrace
        case .endpoints: nil
        }
    }

    /// What one instance holds, for the books.
    package var instanceResources: ResourceLimits {
        switch instances {
        case .process(let template): template.limits
        case .virtualServer(let template):
            ResourceLimits(
                cpuMillicores: template.flavor.resources.cpuMillicores, memory: template.flavor.memory)
        case .endpoints: ResourceLimits()
        }
    }
}
