"""Errors as the outside sees them: ``application/problem+json`` (RFC 9457) with a stable ``code``.

A problem never repeats what was asked for, so that "not yours" and "not there" are the same bytes, and never the text
of an unexpected error. Every code of the program is found by ``all_codes``, from which the documentation is made.
"""

import http
import logging
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from msgspec import Struct

from sync.errors import SyncError

PROBLEM_JSON = "application/problem+json"
_WAITING = frozenset({http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE})
_WAIT_SECONDS = 2
_log = logging.getLogger("wangge.errors")


class CodeText(Struct, frozen=True):
    """What one code says: to a user in Chinese, and to a developer in English."""

    status: int
    zh: str
    en: str


# Codes that are answered by the server itself, or whose sentence for users is given here.
TEXTS: dict[str, CodeText] = {
    "account_locked": CodeText(429, "尝试次数过多，请稍后再试", "Too many failed attempts; try again later."),
    "act_forbidden": CodeText(403, "您不能办理此动作", "This act is not yours to do on this case."),
    "act_illegal": CodeText(409, "当前状态不能这样办理", "This act is not possible at the case's status."),
    "act_needs": CodeText(422, "还缺少必要内容", "The act needs something that was not given."),
    "already_decided": CodeText(409, "此项已有人处理", "Somebody has decided on this already."),
    "bad_checkpoint": CodeText(
        400, "同步位置无效，请重新同步", "The checkpoint has not the shape this server hands out."
    ),
    "bad_limit": CodeText(400, "每页条数应为 1 到 1000", "`limit` must be a whole number from 1 to 1000."),
    "bad_request": CodeText(400, "无法理解该请求", "The request could not be understood."),
    "batch_too_large": CodeText(
        413, "一次提交的内容过多，请分批提交", "The batch is too large; nothing was stored."
    ),
    "body_too_large": CodeText(413, "提交的内容过大", "The body is larger than this address accepts."),
    "conflict": CodeText(409, "当前状态下不能这样做", "This cannot be done now."),
    "credentials_refused": CodeText(401, "用户名或密码不正确", "The username or the password is wrong."),
    "district_required": CodeText(400, "请选择辖区", "This server has several districts: name one."),
    "forbidden": CodeText(403, "您没有权限进行此操作", "Your role does not allow this."),
    "encoding_broken": CodeText(400, "压缩的内容无法解开", "The compressed body cannot be unpacked."),
    "encoding_refused": CodeText(
        415, "不支持这种压缩方式", "The body is compressed in a way that this address does not take."
    ),
    "foreign_checkpoint": CodeText(
        409, "同步位置属于其他用户或辖区", "The checkpoint belongs to another user or district."
    ),
    "address_refused": CodeText(
        400, "地址中有不能出现的字符", "The address holds a character that no address of ours has."
    ),
    "addresses_refused": CodeText(
        422,
        "地址文件无法读取，未导入任何内容",
        "The file is no list of addresses that can be read; nothing was kept.",
    ),
    "place_unusable": CodeText(
        400,
        "位置无法使用，请核对经纬度和坐标系",
        "The place cannot be used; `issues` say what is missing or wrong.",
    ),
    "query_not_allowed": CodeText(
        400, "查询内容里有不能用的字符", "What was typed holds characters that no address has."
    ),
    "query_too_short": CodeText(
        400, "请至少输入相连的两个字", "What was typed has no two signs side by side to look for."
    ),
    "tile_out_of_range": CodeText(
        404, "没有这块地图", "There is no such tile: zooms are 0 to 16, x and y below 2 to the power of it."
    ),
    "host_refused": CodeText(400, "访问地址不正确", "The server does not answer to this host name."),
    "internal": CodeText(
        500, "系统内部错误，请稍后再试", "Something went wrong inside; it has been recorded."
    ),
    "invalid": CodeText(400, "内容缺失或有误", "A value is missing or wrong."),
    "json_duplicate_key": CodeText(
        400, "提交的内容有重复的字段", "A key stands twice in one object of the body."
    ),
    "json_malformed": CodeText(400, "提交的内容不是有效的 JSON", "The body is not valid JSON."),
    "json_too_deep": CodeText(400, "提交的内容层级过深", "The body is nested too deeply."),
    "key_lost": CodeText(500, "密钥不可用", "A data key cannot be opened."),
    "layer_refused": CodeText(
        422, "网格图层有误，未保存", "The layer has errors and was not kept; `report` names each."
    ),
    "method_not_allowed": CodeText(405, "不支持该操作方式", "This address does not take this method."),
    "not_found": CodeText(404, "未找到", "There is nothing here for you under this name."),
    "own_work": CodeText(
        403, "不能核实、裁定或批准自己办理的事项", "Nobody verifies, rules on or approves own work."
    ),
    "password_refused": CodeText(422, "密码不符合要求", "The password is too short or too easy to guess."),
    "bad_schema": CodeText(400, "同步版本号无效", "`Wangge-Schema` must be one whole number."),
    "schema_too_old": CodeText(
        426,
        "应用版本过旧，内容已代为保存，请更新后再用",
        "This version of the app can no longer be read; what it sent is kept. Update it.",
    ),
    "session_ended": CodeText(401, "登录已失效，请重新登录", "The session has ended; sign in again."),
    "still_impossible": CodeText(
        409, "现在仍不能写入，内容继续保留", "It cannot be applied now either; it stays where it is."
    ),
    "store_unavailable": CodeText(
        503, "系统繁忙，请稍后再试", "The database cannot take this now; nothing was stored."
    ),
    "sync_waits": CodeText(
        503,
        "正在同步的手机较多，请稍候，将自动重试",
        "Many phones synchronise now; it is not this one's turn yet.",
    ),
    "ticket_refused": CodeText(401, "连接凭据已失效", "The ticket is unknown, used or expired."),
    "token_refused": CodeText(401, "登录凭据无效", "The access token is missing, expired or not ours."),
    "too_many_requests": CodeText(429, "请求过于频繁，请稍后再试", "Too many requests; try again later."),
}
_BY_STATUS = {
    400: "bad_request",
    401: "token_refused",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    429: "too_many_requests",
    503: "store_unavailable",
}


class Unauthorized(SyncError):
    """The access token is missing, expired or not ours."""

    code: ClassVar[str] = "token_refused"
    status: ClassVar[int] = 401


class SessionEnded(Unauthorized):
    """The session has ended; sign in again."""

    code: ClassVar[str] = "session_ended"


class CredentialsRefused(Unauthorized):
    """The username or the password is wrong."""

    code: ClassVar[str] = "credentials_refused"


class TicketRefused(Unauthorized):
    """The ticket is unknown, used or expired."""

    code: ClassVar[str] = "ticket_refused"


class TooManyRequests(SyncError):
    """Too many requests; try again later."""

    code: ClassVar[str] = "too_many_requests"
    status: ClassVar[int] = 429


class AccountLocked(TooManyRequests):
    """Too many failed attempts; try again later."""

    code: ClassVar[str] = "account_locked"


class DistrictRequired(SyncError):
    """This server has several districts: name one."""

    code: ClassVar[str] = "district_required"
    status: ClassVar[int] = 400


class PasswordRefused(SyncError):
    """The password is too short or too easy to guess."""

    code: ClassVar[str] = "password_refused"
    status: ClassVar[int] = 422


def all_codes() -> dict[str, CodeText]:
    """Every code that can be answered, sorted: those above, and those of error classes without a text there."""
    found = dict(TEXTS)
    waiting: list[type[SyncError]] = [SyncError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        summary = " ".join((kind.__doc__ or "").split())
        if kind is not SyncError:
            found.setdefault(kind.code, CodeText(kind.status, summary, summary))
    return dict(sorted(found.items()))


def problem(
    code: str,
    status: int,
    *,
    detail: str = "",
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """One problem document; `extra` stands beside the fixed members and cannot replace them."""
    text = TEXTS.get(code)
    # Sentences raised in the core are Chinese; those raised here, and library texts, English.
    chinese = detail if any(letter > "\u2e7f" for letter in detail) else ""
    english = "" if chinese else detail
    document = {
        **{key: _plain(value) for key, value in (extra or {}).items()},
        "type": "about:blank",
        "title": _phrase(status),
        "status": status,
        "code": code,
        "detail": chinese or (text.zh if text else english),
        "detail_en": english or (extra or {}).get("detail_en") or (text.en if text else code),
    }
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type=PROBLEM_JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _plain(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value)
    except (TypeError, msgspec.EncodeError):
        return str(value)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_of(error: SyncError) -> Response[bytes]:
    """The problem document of one of our own errors."""
    headers = {}
    extra = error.extra
    if "retry_after" in extra or error.status in _WAITING:
        extra = {**extra, "retry_after": _spread(error)}
        headers["Retry-After"] = str(extra["retry_after"])
    if "accepted" in error.extra:  # RFC 9110, 15.5.16: what would have been taken
        headers["Accept-Encoding"] = ", ".join(error.extra["accepted"]) or "identity"
    if error.status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status == http.HTTPStatus.UPGRADE_REQUIRED:
        headers["Upgrade"] = "wangge-schema"  # RFC 9110 wants it said to what
    return problem(error.code, error.status, detail=error.detail, extra=extra, headers=headers)


def _spread(error: SyncError) -> int:
    """FL6: how many seconds to wait, by chance up to half as long again, so that not all come back at once.

    The wait after wrong passwords is one person's, and told as it is.
    """
    seconds = int(error.extra.get("retry_after", _WAIT_SECONDS))
    if isinstance(error, AccountLocked):
        return seconds
    return seconds + secrets.randbelow(seconds // 2 + 2)


def _on_sync_error(_: Request[Any, Any, Any], error: SyncError) -> Response[bytes]:
    if error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s", error.code)
    return problem_of(error)


def _on_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if isinstance(error, ValidationException):
        issues = [
            {"field": item.get("key", ""), "message": item.get("message", "")}
            for item in (error.extra if isinstance(error.extra, list) else [])
            if isinstance(item, dict)
        ]
        return problem("invalid", 400, extra={"issues": issues})
    if error.status_code >= http.HTTPStatus.INTERNAL_SERVER_ERROR and error.status_code not in _BY_STATUS:
        return problem("internal", 500)
    code = _BY_STATUS.get(error.status_code, "bad_request")
    kept = {
        name: value
        for name, value in (error.headers or {}).items()
        if name.lower() in {"allow", "retry-after"}
    }
    if error.status_code in _WAITING and not any(name.lower() == "retry-after" for name in kept):
        kept["Retry-After"] = str(_WAIT_SECONDS + secrets.randbelow(_WAIT_SECONDS))
    if error.status_code == http.HTTPStatus.UNAUTHORIZED:
        kept["WWW-Authenticate"] = "Bearer"
    return problem(code, error.status_code, headers=kept)


def place_of(error: Exception) -> dict[str, str]:
    """What a log may tell of an error: its text may hold what somebody wrote about a person, where it happened not."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"kind": type(error).__name__, "at": " ".join(frames[-8:])}


def _on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    route = request.scope.get("path_template", "")
    _log.error("unexpected error", extra={"fields": {**place_of(error), "route": route}})
    return problem("internal", 500)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    SyncError: _on_sync_error,
    HTTPException: _on_http_exception,
    Exception: _on_unexpected,
}
