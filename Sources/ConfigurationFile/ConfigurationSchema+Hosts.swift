extension ConfigurationSchema {
    static let hostSections = [physicalServer, capacity, fencing]

    static let physicalServer = Section(
        title: "PhysicalServer: spec",
        fields: [
            Field(
                "hypervisor", "URI", required,
                "Where its hypervisor answers: `qemu+ssh://root@host/system`, `qemu+tls://…`, `qemu+tcp://…`, "
                    + "`qemu:///system`."),
            Field("capacity", "mapping", required, "What the cloud may use of it."),
            Field("labels", "mapping of text", none, "What `placement.hostLabels` can ask for."),
            Field("maintenance", "`true`, `false`", "false", "Whether it takes no new virtual servers."),
            Field(
                "fencing", "mapping", none,
                "How it is proven off when it does not answer; without it a person says so with "
                    + "`cloudwright physical-server confirm-off`."),
            Field(
                "silentAfter", "duration, 2s to 1m", "4s",
                "It is suspect once its hypervisor, asked each second, has left a question unanswered for so long."),
        ])

    static let capacity = Section(
        title: "PhysicalServer: spec.capacity",
        fields: [
            Field("cpuMillicores", "integer, thousandths of a processor", required, "2000 is two processors."),
            Field("memory", "size", required, "The memory for virtual servers."),
        ])

    static let fencing = Section(
        title: "PhysicalServer: spec.fencing",
        fields: [
            Field(
                "command", "list of text", none,
                "A program that switches it off and ends with 0 once it is off, such as a fence agent. `{host}` is "
                    + "replaced. Either this or `lease`."),
            Field(
                "lease", "duration", none,
                "It stops its virtual servers by itself when it has not heard from the platform for so long: "
                    + "`cloudwright-host-agent` runs on it."),
        ])

    static let rebalancing = Section(
        title: "Cloud: spec.rebalancing",
        fields: [
            Field(
                "automation", "`manual`, `partial`, `full`", "manual",
                "`manual` proposes migrations; `partial` puts new virtual servers where the measured load is least; "
                    + "`full` migrates those that run, too."),
            Field("interval", "duration", "5m", "Between two looks at the load."),
            Field(
                "imbalancePercent", "integer, percent of a host", "20",
                "The standard deviation of the hosts' load that begins it; it ends at half of that."),
            Field(
                "cooldown", "duration", "10m",
                "A virtual server that was moved stays for so long, and a migration has to pay for itself within it."),
            Field(
                "migrationsPerHost", "integer", "2",
                "Migrations that a host takes part in at a time, whoever asks for them."),
            Field("migrationsPerCluster", "integer", "5", "Migrations at a time in all."),
        ])

    static let virtualServer = Section(
        title: "CloudService: spec.virtualServer",
        fields: [
            Field("virtualCPUs", "integer", "1", "Virtual processors."),
            Field(
                "cpuMillicores", "integer, thousandths of a processor", none,
                "The processor time that all of them together may use; without it all that they have."),
            Field(
                "maximumCpuMillicores", "integer, thousandths of a processor", none,
                "Up to where its processor time is raised under load, in steps of `cpuMillicores`, before there are "
                    + "more instances; `scaling.targetConcurrency` is for each step."),
            Field("memory", "size", required, "Its memory."),
            Field("kernel", "absolute path", none, "Boots this kernel instead of the first disk."),
            Field("initialRamdisk", "absolute path", none, "Goes with `kernel`."),
            Field(
                "commandLine", "text", none,
                "Goes with `kernel`. `{instance}`, `{service}`, `{address}`, `{prefix}` and `{port}` are replaced, "
                    + "here as in `userData`, `metaData`, `networkConfig` and the paths of disks."),
            Field("disks", "list of mappings", none, "In the order in which they are attached."),
            Field("bridge", "text", none, "The bridge of every host that its network card is attached to."),
            Field(
                "userData", "text", none,
                "cloud-init's user-data, for cloud images: given on a CD labelled `cidata` (NoCloud)."),
            Field("metaData", "text", none, "cloud-init's meta-data; without it instance id and host name."),
            Field("networkConfig", "text", none, "cloud-init's network-config."),
            Field(
                "display", "`vnc`", none, "A screen, for guests that show something there; shown in the web console."),
            Field(
                "addresses", "`first-last`", required,
                "IPv4 addresses, each given to one instance at a time: `10.0.0.10-10.0.0.29`."),
            Field("prefixLength", "integer", "24", "Of their network, for `{prefix}`."),
            Field("port", "port", required, "Where the service listens in each."),
            Field("placement", "mapping", none, "On which hosts."),
            Field("stopGrace", "duration", "10s", "Between the request to shut down and the hard stop."),
        ])

    static let virtualDisk = Section(
        title: "CloudService: spec.virtualServer.disks[]",
        fields: [
            Field("path", "absolute path", required, "The file of this virtual server; `{instance}` tells them apart."),
            Field("format", "`qcow2`, `raw`", "qcow2", "Of the file."),
            Field("image", "absolute path", none, "The image that it is an overlay over; it is made from it."),
            Field("imageFormat", "`qcow2`, `raw`", none, "Of the image."),
            Field("size", "size", none, "Of the disk; without it that of the image."),
            Field("shared", "`true`, `false`", "true", "Whether all hosts see the same file; else migrations copy it."),
        ])

    static let placement = Section(
        title: "CloudService: spec.virtualServer.placement",
        fields: [
            Field(
                "strategy", "`spread`, `pack`", "spread",
                "`spread` takes the emptiest host, `pack` the fullest that has room."),
            Field(
                "affinity", "`none`, `apart`, `strictly-apart`, `together`", "apart",
                "Towards the instances of the same service; `apart` and `together` are preferences."),
            Field("hostLabels", "mapping of text", none, "Labels that a host must have."),
        ])
}
