"""Mail: plain, STARTTLS, TLS from the first byte, with or without a login.

Port 465 speaks TLS from the first byte, port 587 must start it; both check the server's certificate. On other ports
TLS is started where the server offers it. A password is never sent without TLS, but to this very machine.
Certificates of an own authority: ``SSL_CERT_FILE`` names them, as for every program that uses OpenSSL.
"""
import socket
from typing import TYPE_CHECKING, List, Mapping, Sequence, Tuple

from jobs.exceptions import NotificationError
from jobs.models import MailServer
from monitoring.message import Message

if TYPE_CHECKING:
    import smtplib
    import ssl
    from email.message import EmailMessage

__all__ = ["TIMEOUT_S", "recipients_of", "send_mail"]

#: Seconds that one step of the conversation may take.
TIMEOUT_S = 20.0
_TLS_PORT, _SUBMISSION_PORT = 465, 587
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def recipients_of(to: str) -> List[str]:
    """The addresses of a ``mailto:`` destination."""
    return [one.strip() for one in to.partition(":")[2].split(",") if one.strip()]


def send_mail(server: MailServer, to: Sequence[str], message: Message, identity: str, host: str) -> str:
    """Hand a mail in; what the server had to say against some of the addresses, "" where nothing.

    :param identity: makes the Message-ID, the same for each attempt
    :param host: of the run, for the sender where none is given
    :raises NotificationError: where it was not taken (``context["permanent"]``: nor ever will be)
    """
    import smtplib
    import ssl

    sender = server.sender or "executioner@" + (host or socket.getfqdn())
    try:
        with _connect(server) as connection:
            refused = connection.send_message(_document(sender, to, message, identity), sender, list(to))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [found[0] for found in error.recipients.values()]
        raise _failed("%s takes none of the addresses: %s" % (server.host, _answers(error.recipients)),
                      all(code >= 500 for code in codes)) from None
    except smtplib.SMTPResponseException as error:
        raise _failed("%s answered %d %s" % (server.host, error.smtp_code, _text(error.smtp_error)),
                      isinstance(error, (smtplib.SMTPSenderRefused, smtplib.SMTPDataError))
                      and error.smtp_code >= 500) from None
    except (ssl.SSLError, ssl.CertificateError) as error:  # the latter is no SSLError on 3.6
        raise _failed("no safe connection to %s:%d: %s" % (server.host, server.port, error)) from None
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise _failed("cannot send mail by %s:%d: %s" % (server.host, server.port, error or type(error).__name__)
                      ) from None
    return "not taken: " + _answers(refused) if refused else ""


def _connect(server: MailServer) -> "smtplib.SMTP":
    """A connection that is ready for a mail."""
    import smtplib
    import ssl

    if server.port == _TLS_PORT:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S,
                                                    context=ssl.create_default_context())
        is_safe = True
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        is_safe = False
    try:
        connection.ehlo_or_helo_if_needed()
        if not is_safe and (server.port == _SUBMISSION_PORT or connection.has_extn("starttls")):
            checked = server.port == _SUBMISSION_PORT or bool(server.user)
            connection.starttls(context=ssl.create_default_context() if checked else _unchecked())
            connection.ehlo()
            is_safe = True
        if server.user:
            if not is_safe and server.host not in _LOOPBACK:
                raise _failed("%s:%d offers no TLS, and the password is not sent without it" % (
                    server.host, server.port))
            connection.login(server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _unchecked() -> "ssl.SSLContext":
    # Better than no TLS, which is what there would be: nothing secret but the mail itself is sent here.
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _document(sender: str, to: Sequence[str], message: Message, identity: str) -> "EmailMessage":
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import formatdate

    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = message.subject
    mail["Date"] = formatdate()
    mail["Message-ID"] = "<%s@%s>" % (identity, sender.rpartition("@")[2])
    # Neither an absence note nor another program should answer.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Executioner-Event"] = str(message.payload.get("event", ""))
    mail.set_content(message.body)
    return mail


def _failed(text: str, permanent: bool = False) -> NotificationError:
    return NotificationError(" ".join(text.split()), context={"permanent": permanent})


def _text(answer: object) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def _answers(refused: Mapping[str, Tuple[int, bytes]]) -> str:
    return ", ".join("%s (%d %s)" % (address, answer[0], _text(answer[1]))
                     for address, answer in sorted(refused.items()))
