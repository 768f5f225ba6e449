"""canSAS XML of both versions, made here: which curve is read, units, what is refused."""

import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve

Q = np.linspace(0.01, 0.3, 60)
X = Q * 25.0
I = 100 * (3 * (np.sin(X) - X * np.cos(X)) / X**3) ** 2
S = np.sqrt(I + 0.3) / 10
I = I + S * np.random.default_rng(0).normal(size=60)


def points(unit="1/A", scale=1.0, count=60, factor=1.0, sigma=True):
    rows = []
    for q, i, s in zip(Q[:count] * scale, factor * I, factor * S, strict=False):
        error = f'<Idev unit="1/cm">{s:.8e}</Idev>' if sigma else ""
        rows.append(f'<Idata><Q unit="{unit}">{q:.8e}</Q>\n <I unit="1/cm"> {i:.8e} </I>{error}'
                    f'<Qdev unit="{unit}">0.001</Qdev><Shadowfactor/></Idata>')
    return "<SASdata>" + "\n".join(rows) + "</SASdata>"


def document(*data, version="1.1", prefix="", title="a sphere"):
    text = (f'<?xml version="1.0" encoding="UTF-8"?>\n<?xml-stylesheet type="text/xsl" href="x.xsl"?>\n'
            f'<SASroot version="{version}" xmlns="urn:cansas1d:{version}" xmlns:c="urn:cansas1d:{version}">\n'
            f'<SASentry><Title>{title}</Title><Run>1</Run>{"".join(data)}'
            '<SASsample><ID>protein</ID></SASsample><SASinstrument><name>a camera</name>'
            '<SASsource><wavelength unit="A">1.54</wavelength></SASsource></SASinstrument></SASentry></SASroot>')
    return text.replace("<SAS", f"<{prefix}SAS").replace("</SAS", f"</{prefix}SAS") if prefix else text


def read(tmp_path, text, name="curve.xml"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_curve(tmp_path / name)


def refusal(tmp_path, text):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'curve.xml'}: ") and message.isprintable()
    return message.removeprefix(f"{tmp_path / 'curve.xml'}: ")


def check(curve, factor=1.0):
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=1e-6)
    np.testing.assert_allclose(curve.intensity, factor * I, rtol=1e-6)
    if not curve.sigma_estimated:
        np.testing.assert_allclose(curve.sigma, factor * S, rtol=1e-6)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("name", ["curve.xml", "curve.dat"])
def test_both_versions_whatever_the_file_is_called(tmp_path, version, name):
    curve = read(tmp_path, document(points(), version=version), name)
    check(curve)
    assert curve.unit == "1/A" and curve.columns == 3
    assert curve.notes[0] == "canSAS XML" and "q in 1/A, as the file says" in curve.notes


@pytest.mark.parametrize("unit, scale", [("1/nm", 10), ("1/m", 1e10), ("1/angstrom", 1), ("Å^-1", 1), ("A^{-1}", 1)])
def test_units_of_the_attribute(tmp_path, unit, scale):
    check(read(tmp_path, document(points(unit, scale))))


def test_prefixes_and_encodings(tmp_path):
    check(read(tmp_path, document(points(), prefix="c:")))
    text = document(points(), title="Lösung").replace("UTF-8", "ISO-8859-1")
    check(read(tmp_path, text.encode("latin-1")))
    check(read(tmp_path, document(points()).replace("UTF-8", "UTF-16").encode("utf-16")))
    check(read(tmp_path, document(points()).partition("\n")[2].partition("\n")[2]))  # without the first two lines


def test_without_sigma(tmp_path):
    curve = read(tmp_path, document(points(sigma=False)))
    check(curve)
    assert curve.sigma_estimated and curve.columns == 2


def test_the_longest_of_several_curves_is_read_and_of_equal_ones_the_first(tmp_path):
    curve = read(tmp_path, document(points(count=20), points(factor=2)))
    check(curve, 2.0)
    assert "the file has 2 curves (SASdata): the longest was read" in curve.notes
    curve = read(tmp_path, document(points(), points(factor=2), points(factor=3)))
    check(curve)
    assert "the file has 3 curves (SASdata): the first was read" in curve.notes


def test_points_that_lack_a_number_are_dropped_and_said(tmp_path):
    text = document(points()).replace("<Idata>", "<Idata><I>nan</I></Idata><Idata>", 1)
    curve = read(tmp_path, text)
    assert curve.q_inv_angstrom.size == 60
    assert "1 point without a finite q or intensity dropped" in curve.notes


def test_what_is_not_a_curve_is_refused_by_name(tmp_path):
    assert refusal(tmp_path, document(points()).replace("<Q ", "<Qx ").replace("</Q>", "</Qx>")) == (
        "is two-dimensional canSAS data (Qx, Qy): average it over the angles first")
    assert refusal(tmp_path, document("<SASdata></SASdata>")) == (
        "is canSAS XML without points (Idata): give canSAS XML or text columns of q, intensity and sigma")
    assert refusal(tmp_path, "<?xml version='1.0'?><svg></svg>") == (
        "is XML, but not canSAS (no SASdata): give canSAS XML or text columns of q, intensity and sigma")
    assert refusal(tmp_path, "<!DOCTYPE html>\n<html><body>404</body></html>") == (
        "is a web page (HTML), not a curve: download the file behind it")
    assert refusal(tmp_path, document(points()).replace('unit="1/A"', 'unit="1/nm"', 1)) == (
        "its points have different units of Q (1/A, 1/nm): give all in one unit")


def test_broken_and_hostile_xml_is_refused_at_once(tmp_path):
    assert refusal(tmp_path, document(points())[:-20]).startswith("is not valid XML (")
    entities = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    for bomb in (f'<!DOCTYPE x [<!ENTITY a0 "x">{entities}]>', '<!DOCTYPE x SYSTEM "file:///etc/passwd">'):
        text = f'<?xml version="1.0"?>{bomb}<SASroot><Title>&a12;</Title>{points()}</SASroot>'
        assert refusal(tmp_path, text) == (
            "declares a DOCTYPE or an ENTITY, which canSAS XML does not need: remove it")
    deep = "<a>" * 100_000 + "</a>" * 100_000
    assert "not canSAS" in refusal(tmp_path, f'<?xml version="1.0"?><SASroot>{deep}</SASroot>')
    check(read(tmp_path, document(points(), deep)))
    assert refusal(tmp_path, '<?xml version="1.0" encoding="x-none"?><SASroot/>')
