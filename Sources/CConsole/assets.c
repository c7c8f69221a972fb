// Puts the console's files into the program. The compiler notes them as what this file depends on, so that a changed
// file is compiled in by the next build. A new file gets an array and an entry below; a test compares both with the
// folder.
#include "CConsole.h"

// #embed is of C23; Swift's own compiler has it for every version of C.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char api_js[] = {
#embed "assets/api.js"
};
static const unsigned char app_js[] = {
#embed "assets/app.js"
};
static const unsigned char chart_js[] = {
#embed "assets/chart.js"
};
static const unsigned char console_css[] = {
#embed "assets/console.css"
};
static const unsigned char dom_js[] = {
#embed "assets/dom.js"
};
static const unsigned char exchange_js[] = {
#embed "assets/exchange.js"
};
static const unsigned char format_js[] = {
#embed "assets/format.js"
};
static const unsigned char history_js[] = {
#embed "assets/history.js"
};
static const unsigned char i18n_js[] = {
#embed "assets/i18n.js"
};
static const unsigned char icon_svg[] = {
#embed "assets/icon.svg"
};
static const unsigned char index_html[] = {
#embed "assets/index.html"
};
static const unsigned char parts_js[] = {
#embed "assets/parts.js"
};
static const unsigned char suggest_js[] = {
#embed "assets/suggest.js"
};
static const unsigned char terminal_js[] = {
#embed "assets/terminal.js"
};
static const unsigned char text_en_books_js[] = {
#embed "assets/text-en-books.js"
};
static const unsigned char text_en_exchange_js[] = {
#embed "assets/text-en-exchange.js"
};
static const unsigned char text_en_services_js[] = {
#embed "assets/text-en-services.js"
};
static const unsigned char text_en_words_js[] = {
#embed "assets/text-en-words.js"
};
static const unsigned char text_en_js[] = {
#embed "assets/text-en.js"
};
static const unsigned char text_zh_books_js[] = {
#embed "assets/text-zh-books.js"
};
static const unsigned char text_zh_exchange_js[] = {
#embed "assets/text-zh-exchange.js"
};
static const unsigned char text_zh_services_js[] = {
#embed "assets/text-zh-services.js"
};
static const unsigned char text_zh_words_js[] = {
#embed "assets/text-zh-words.js"
};
static const unsigned char text_zh_js[] = {
#embed "assets/text-zh.js"
};
static const unsigned char theme_js[] = {
#embed "assets/theme.js"
};
static const unsigned char view_audit_js[] = {
#embed "assets/view-audit.js"
};
static const unsigned char view_bills_js[] = {
#embed "assets/view-bills.js"
};
static const unsigned char view_configuration_js[] = {
#embed "assets/view-configuration.js"
};
static const unsigned char view_console_js[] = {
#embed "assets/view-console.js"
};
static const unsigned char view_consumers_js[] = {
#embed "assets/view-consumers.js"
};
static const unsigned char view_display_js[] = {
#embed "assets/view-display.js"
};
static const unsigned char view_events_js[] = {
#embed "assets/view-events.js"
};
static const unsigned char view_failover_js[] = {
#embed "assets/view-failover.js"
};
static const unsigned char view_images_js[] = {
#embed "assets/view-images.js"
};
static const unsigned char view_infrastructure_js[] = {
#embed "assets/view-infrastructure.js"
};
static const unsigned char view_integrity_js[] = {
#embed "assets/view-integrity.js"
};
static const unsigned char view_login_js[] = {
#embed "assets/view-login.js"
};
static const unsigned char view_notifications_js[] = {
#embed "assets/view-notifications.js"
};
static const unsigned char view_overview_js[] = {
#embed "assets/view-overview.js"
};
static const unsigned char view_replay_js[] = {
#embed "assets/view-replay.js"
};
static const unsigned char view_scaling_js[] = {
#embed "assets/view-scaling.js"
};
static const unsigned char view_service_js[] = {
#embed "assets/view-service.js"
};
static const unsigned char view_services_js[] = {
#embed "assets/view-services.js"
};
static const unsigned char view_settings_js[] = {
#embed "assets/view-settings.js"
};
static const unsigned char view_sizes_js[] = {
#embed "assets/view-sizes.js"
};
static const unsigned char view_timelines_js[] = {
#embed "assets/view-timelines.js"
};
static const unsigned char view_usage_js[] = {
#embed "assets/view-usage.js"
};
static const unsigned char views_js[] = {
#embed "assets/views.js"
};

#define ASSET(name, array) { name, array, sizeof array }

static const struct cconsole_asset assets[] = {
    ASSET("api.js", api_js),
    ASSET("app.js", app_js),
    ASSET("chart.js", chart_js),
    ASSET("console.css", console_css),
    ASSET("dom.js", dom_js),
    ASSET("exchange.js", exchange_js),
    ASSET("format.js", format_js),
    ASSET("history.js", history_js),
    ASSET("i18n.js", i18n_js),
    ASSET("icon.svg", icon_svg),
    ASSET("index.html", index_html),
    ASSET("parts.js", parts_js),
    ASSET("suggest.js", suggest_js),
    ASSET("terminal.js", terminal_js),
    ASSET("text-en-books.js", text_en_books_js),
    ASSET("text-en-exchange.js", text_en_exchange_js),
    ASSET("text-en-services.js", text_en_services_js),
    ASSET("text-en-words.js", text_en_words_js),
    ASSET("text-en.js", text_en_js),
    ASSET("text-zh-books.js", text_zh_books_js),
    ASSET("text-zh-exchange.js", text_zh_exchange_js),
    ASSET("text-zh-services.js", text_zh_services_js),
    ASSET("text-zh-words.js", text_zh_words_js),
    ASSET("text-zh.js", text_zh_js),
    ASSET("theme.js", theme_js),
    ASSET("view-audit.js", view_audit_js),
    ASSET("view-bills.js", view_bills_js),
    ASSET("view-configuration.js", view_configuration_js),
    ASSET("view-console.js", view_console_js),
    ASSET("view-consumers.js", view_consumers_js),
    ASSET("view-display.js", view_display_js),
    ASSET("view-events.js", view_events_js),
    ASSET("view-failover.js", view_failover_js),
    ASSET("view-images.js", view_images_js),
    ASSET("view-infrastructure.js", view_infrastructure_js),
    ASSET("view-integrity.js", view_integrity_js),
    ASSET("view-login.js", view_login_js),
    ASSET("view-notifications.js", view_notifications_js),
    ASSET("view-overview.js", view_overview_js),
    ASSET("view-replay.js", view_replay_js),
    ASSET("view-scaling.js", view_scaling_js),
    ASSET("view-service.js", view_service_js),
    ASSET("view-services.js", view_services_js),
    ASSET("view-settings.js", view_settings_js),
    ASSET("view-sizes.js", view_sizes_js),
    ASSET("view-timelines.js", view_timelines_js),
    ASSET("view-usage.js", view_usage_js),
    ASSET("views.js", views_js),
};

size_t cconsole_asset_count(void) { return sizeof assets / sizeof assets[0]; }

struct cconsole_asset cconsole_asset_at(size_t index) { return assets[index]; }
