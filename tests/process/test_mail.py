"""Mail against a real server: plain, STARTTLS, TLS, login, certificates that are checked, addresses that are refused."""
import email
import email.policy
import os
from typing import Any, Tuple

import pytest

from jobs.exceptions import NotificationError
from jobs.models import MailServer
from monitoring import mail
from monitoring.mail import recipients_of, send_mail
from monitoring.message import Message
from receivers import SmtpReceiver, make_certificate
from servers import free_port

MESSAGE = Message("[executioner] nachts FAILED: Größe", "Zeile 1\n.\nÜbel: \u2603\n" + "x" * 2000 + "\n",
                  {"event": "failure"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: Any) -> Tuple[str, str]:
    """A certificate for ``localhost`` that signs itself."""
    return make_certificate(str(tmp_path_factory.mktemp("tls")))


def parsed(data: bytes) -> Any:
    return email.message_from_bytes(data, policy=email.policy.default)


def send(server: MailServer, *to: str) -> str:
    return send_mail(server, to or ("ops@example.com",), MESSAGE, "home.7", "db1")


def test_a_plain_mail_arrives_as_it_was(monkeypatch: Any) -> None:
    with SmtpReceiver() as smtp:
        assert send(MailServer("127.0.0.1", smtp.port), "a@example.com", "b@example.com") == ""
    assert len(smtp.mails) == 1
    got = smtp.mails[0]
    assert (got.sender, got.recipients, got.user, got.was_encrypted) == (
        "executioner@db1", ["a@example.com", "b@example.com"], "", False)
    document = parsed(got.data)
    assert document["Subject"] == MESSAGE.subject and document["To"] == "a@example.com, b@example.com"
    assert document["Message-ID"] == "<home.7@db1>" and document["Auto-Submitted"] == "auto-generated"
    assert document.get_content().replace("\r\n", "\n") == MESSAGE.body


def test_tls_is_started_where_it_is_offered(certificate: Tuple[str, str]) -> None:
    with SmtpReceiver("starttls", certificate) as smtp:
        send(MailServer("127.0.0.1", smtp.port))  # nobody signed it, and no password is at stake
    assert [one.was_encrypted for one in smtp.mails] == [True]


def test_a_login_needs_a_certificate_that_holds(certificate: Tuple[str, str], monkeypatch: Any) -> None:
    server = dict(user="u", password="p4ssword", sender="batch@example.com")
    with SmtpReceiver("starttls", certificate, ("u", "p4ssword")) as smtp:
        with pytest.raises(NotificationError) as caught:
            send(MailServer("localhost", smtp.port, **server))
        assert "no safe connection" in caught.value.message and not caught.value.context["permanent"]
        assert "AUTH" not in smtp.commands and not smtp.mails
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        send(MailServer("localhost", smtp.port, **server))
        # The name must be that of the certificate.
        with pytest.raises(NotificationError):
            send(MailServer("127.0.0.1", smtp.port, **server))
    assert [(one.user, one.was_encrypted, one.sender) for one in smtp.mails] == [("u", True, "batch@example.com")]


def test_tls_from_the_first_byte(certificate: Tuple[str, str], monkeypatch: Any) -> None:
    with SmtpReceiver("tls", certificate, ("u", "p4ssword")) as smtp:
        monkeypatch.setattr(mail, "_TLS_PORT", smtp.port)  # 465 is not ours to open
        with pytest.raises(NotificationError) as caught:
            send(MailServer("localhost", smtp.port, "u", "p4ssword"))
        assert "no safe connection" in caught.value.message
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        send(MailServer("localhost", smtp.port, "u", "p4ssword"))
    assert [(one.user, one.was_encrypted) for one in smtp.mails] == [("u", True)]


def test_the_submission_port_must_start_tls(monkeypatch: Any) -> None:
    with SmtpReceiver() as smtp:
        monkeypatch.setattr(mail, "_SUBMISSION_PORT", smtp.port)
        with pytest.raises(NotificationError):
            send(MailServer("127.0.0.1", smtp.port))
    assert not smtp.mails


def test_no_password_without_tls(monkeypatch: Any) -> None:
    with SmtpReceiver(login=("u", "p4ssword")) as smtp:
        monkeypatch.setattr(mail, "_LOOPBACK", ())
        with pytest.raises(NotificationError) as caught:
            send(MailServer("127.0.0.1", smtp.port, "u", "p4ssword"))
        assert "not sent without it" in caught.value.message and "AUTH" not in smtp.commands
        monkeypatch.undo()
        send(MailServer("127.0.0.1", smtp.port, "u", "p4ssword"))  # this very machine
    assert [one.user for one in smtp.mails] == ["u"]


@pytest.mark.parametrize("answers, permanent, words", [
    ({"RCPT": ["550 no such user"]}, True, "takes none of the addresses: ops@example.com (550 no such user)"),
    ({"RCPT": ["450 later"]}, False, "450 later"),
    ({"MAIL": ["554 not you"]}, True, "554 not you"),
    ({"DATA": ["451 busy"]}, False, "451 busy"),
])
def test_refusals(answers: Any, permanent: bool, words: str) -> None:
    with SmtpReceiver(answers=answers) as smtp:
        with pytest.raises(NotificationError) as caught:
            send(MailServer("127.0.0.1", smtp.port))
    assert words in caught.value.message and bool(caught.value.context["permanent"]) is permanent


def test_a_wrong_password_may_be_mended() -> None:
    with SmtpReceiver(login=("u", "p4ssword")) as smtp:
        with pytest.raises(NotificationError) as caught:
            send(MailServer("127.0.0.1", smtp.port, "u", "wrong-password"))
    assert "535" in caught.value.message and not caught.value.context["permanent"]
    assert "wrong-password" not in caught.value.message


def test_one_address_of_two_is_refused() -> None:
    with SmtpReceiver(answers={"RCPT": ["550 gone"]}) as smtp:
        remark = send(MailServer("127.0.0.1", smtp.port), "a@example.com", "b@example.com")
    assert remark == "not taken: a@example.com (550 gone)" and smtp.mails[0].recipients == ["b@example.com"]


def test_nobody_listens() -> None:
    with SmtpReceiver() as smtp:
        port = smtp.port
    with pytest.raises(NotificationError) as caught:
        send(MailServer("127.0.0.1", port))
    assert "cannot send mail by 127.0.0.1:%d" % port in caught.value.message


def test_recipients() -> None:
    assert recipients_of("mailto:a@x.org, b@x.org,") == ["a@x.org", "b@x.org"]


def test_against_aiosmtpd(certificate: Tuple[str, str], monkeypatch: Any) -> None:
    controller_module = pytest.importorskip("aiosmtpd.controller", reason="not run: no aiosmtpd for this Python")
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    got = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            got.append((session.ssl is not None, envelope.rcpt_tos, envelope.content))
            return "250 OK"

    controller = controller_module.Controller(Handler(), hostname="127.0.0.1", port=free_port(),
                                              tls_context=context, require_starttls=True)
    controller.start()
    try:
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        monkeypatch.setattr(mail, "_SUBMISSION_PORT", controller.port)
        send(MailServer("localhost", controller.port))
    finally:
        controller.stop()
    assert got[0][:2] == (True, ["ops@example.com"])
    assert parsed(got[0][2])["Subject"] == MESSAGE.subject



def test_the_environment_is_as_it_was() -> None:
    assert not os.environ.get("SSL_CERT_FILE", "").endswith("cert.pem")
