import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudModel
import Foundation
import Glibc

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "Images that disks of virtual servers are overlays over.",
        subcommands: [List.self, Import.self, Remove.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the images.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let images = try await options.client().images()
            try options.show(images, empty: "There are no images. See: cloudwright image import --help") {
                ImageCommand.table(images)
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send an image to the platform, which checks and keeps it.",
            discussion: """
                FILE may be - for the standard input: curl -fL URL | cloudwright image import NAME - --sha256 DIGEST. \
                An image that names other files (a backing file, an external data file) is refused: through it a guest \
                could read files of its host. Images do not change; a new version gets a name of its own.
                """)
        @Argument(help: "What it is to be called.") var name: String
        @Argument(help: "The image's file, or - for the standard input.") var file: String
        @Option(help: "What it is written in: qcow2 or raw.") var format: API.ImageFormat = .qcow2
        @Option(help: ArgumentHelp("The SHA-256 digest that it has to have, in hex.", valueName: "digest"))
        var sha256: String?
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw ValidationError("\(file) cannot be read: \(String(cString: strerror(errno))).")
            }
            defer { if descriptor != STDIN_FILENO { close(descriptor) } }
            var status = stat()
            let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            let size = isFile ? Int64(status.st_size) - Int64(max(0, lseek(descriptor, 0, SEEK_CUR))) : nil
            let image = try options.client().importImage(
                name, format: format, sha256: sha256, from: descriptor, size: size)
            try options.show(image) {
                ImageCommand.table([image]).rendered(inColour: Terminal.current.hasColour)
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an image that no service's disks are declared over.")
        @Argument(help: "The image's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            try await options.client().removeImage(name)
            Terminal.current.progress("The image \(name) is removed.")
        }
    }

    fileprivate static func table(_ images: [API.Image]) -> Table {
        var table = Table(
            .left("name"), .left("format"), .right("file"), .right("disk"), .left("used by"), .left("path"),
            .left("sha256"))
        for image in images {
            table.add(
                Table.Cell(image.name), Table.Cell(image.format.rawValue),
                Table.Cell(ByteCount(bytes: image.fileBytes).text),
                Table.Cell(ByteCount(bytes: image.virtualBytes).text),
                Table.Cell(image.usedBy.joined(separator: ", ")), Table.Cell(image.path),
                Table.Cell(image.sha256))
        }
        return table
    }
}
