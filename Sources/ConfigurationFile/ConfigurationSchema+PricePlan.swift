extension ConfigurationSchema {
    static let pricePlanSections = [pricePlan, price, priceTier]

    static let pricePlan = Section(
        title: "PricePlan: spec",
        fields: [
            Field("displayName", "text", none, "What people call the plan."),
            Field("currency", "code of ISO 4217", required, "What its amounts are in: `EUR`, `CNY`."),
            Field(
                "timeZone", "name in the time zone database", "UTC",
                "Whose calendar months are the billing periods: `Europe/Berlin`."),
            Field(
                "rounding", "`half-even`, `half-up`", "half-even",
                "How each line of a bill is rounded to the minor unit, once: ties to the even digit, or away from zero."
            ),
            Field(
                "tolerance", "decimal", "1",
                "The most that the resource agent's figures of a service may be in doubt by, in the currency; above it "
                    + "its lines are held."),
            Field("prices", "list of mappings", required, "What costs what: 1 to 200."),
        ])

    static let price = Section(
        title: "PricePlan: spec.prices[]",
        fields: [
            Field("id", "label", required, "Names the price on bills; unique in the plan."),
            Field(
                "meter",
                "`instance-hour`, `vcpu-second`, `gib-hour`, `request`, `byte-in`, `byte-out`, `busy-second`, "
                    + "`event:NAME`",
                none,
                "What it counts. The first three are paid by the service's `owner`, the next four by who sends the "
                    + "requests, and what a service counts itself by whom it names. Not with `flat`."),
            Field(
                "service", "name of a `CloudService`", none,
                "Only the use of this service; without it of every service, each counted by itself."),
            Field(
                "model", "`flat`, `per-unit`, `graduated`, `volume`, `package`", "per-unit",
                "An amount a month; an amount a unit; each unit at the price of its tier; all units at the price of "
                    + "the tier that their number lies in; an amount for each package that was begun."),
            Field("price", "decimal", none, "The amount, for `flat`, `per-unit` and `package`."),
            Field("packageSize", "decimal", none, "Units in a package, for `package`."),
            Field("tiers", "list of mappings", none, "From the first unit on, for `graduated` and `volume`."),
            Field("free", "decimal", "0", "Units in a month that cost nothing."),
            Field("minimum", "decimal", "0", "The least that a month costs where there was any use."),
            Field("from", "RFC 3339 time", none, "From when on the price is in force."),
            Field(
                "until", "RFC 3339 time", none,
                "Until when, exclusive. For a part of a month, flat amounts, free units, minimum and tiers count in "
                    + "proportion."),
        ])

    static let priceTier = Section(
        title: "PricePlan: spec.prices[].tiers[]",
        fields: [
            Field("upTo", "decimal", none, "The last unit of the tier; left out of the last tier."),
            Field("price", "decimal", required, "Of one unit."),
            Field("flat", "decimal", "0", "Added once the tier is reached."),
        ])
}
