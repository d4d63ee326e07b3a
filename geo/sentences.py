"""The stable codes of what can be wrong with a layer; for each a sentence in both languages for who must mend it."""

from __future__ import annotations

from enum import StrEnum


class FaultCode(StrEnum):
    """Stable codes; a retired code is never used again."""

    # the file
    FILE_EMPTY = "file_empty"
    JSON_MALFORMED = "json_malformed"
    JSON_DUPLICATE_KEY = "json_duplicate_key"
    NOT_A_FEATURE_COLLECTION = "not_a_feature_collection"
    NO_CELLS = "no_cells"
    CELLS_TOO_MANY = "cells_too_many"
    ARCHIVE_BROKEN = "archive_broken"
    ARCHIVE_LOCKED = "archive_locked"
    ARCHIVE_PATHS = "archive_paths"
    ARCHIVE_TOO_LARGE = "archive_too_large"
    ARCHIVE_TOO_MANY = "archive_too_many"
    ARCHIVE_WITHOUT_LAYER = "archive_without_layer"
    ARCHIVE_SEVERAL_LAYERS = "archive_several_layers"
    SHAPEFILE_PART_MISSING = "shapefile_part_missing"
    SHAPEFILE_TRUNCATED = "shapefile_truncated"
    SHAPEFILE_BROKEN = "shapefile_broken"
    SHAPEFILE_COUNTS = "shapefile_counts"
    ENCODING_WRONG = "encoding_wrong"
    ENCODING_UNKNOWN = "encoding_unknown"
    ENCODING_GUESSED = "encoding_guessed"
    XML_MALFORMED = "xml_malformed"
    XML_FORBIDDEN = "xml_forbidden"
    XML_TOO_LARGE = "xml_too_large"
    NOT_KML = "not_kml"
    CRS_MISSING = "crs_missing"
    CRS_UNKNOWN = "crs_unknown"
    CRS_CONFLICT = "crs_conflict"
    # of the system, as `geo.refusals` has them with their sentences
    SYSTEM_NOT_ALLOWED = "system_not_allowed"
    SYSTEM_NOT_FLAT = "system_not_flat"
    SYSTEM_TABLE_INVALID = "system_table_invalid"
    SYSTEM_DATUM_UNKNOWN = "system_datum_unknown"
    SYSTEM_OUT_OF_REACH = "system_out_of_reach"
    # codes and parents
    CODE_MISSING = "code_missing"
    CODE_NOT_ALLOWED = "code_not_allowed"
    CODE_MALFORMED = "code_malformed"
    CODE_DUPLICATE = "code_duplicate"
    CODE_FOREIGN = "code_foreign"
    NAME_MISSING = "name_missing"
    NAME_NOT_ALLOWED = "name_not_allowed"
    KIND_UNKNOWN = "kind_unknown"
    PARENT_MISSING = "parent_missing"
    PARENT_UNKNOWN = "parent_unknown"
    PARENT_CONFLICT = "parent_conflict"
    PARENT_LEVEL = "parent_level"
    DISTRICT_NOT_ONE = "district_not_one"
    CODE_NOT_OF_PARENT = "code_not_of_parent"
    AREA_WITHOUT_CELLS = "area_without_cells"
    OUTSIDE_PARENT = "outside_parent"
    # coordinates
    COORDINATES_MALFORMED = "coordinates_malformed"
    COORDINATES_OUT_OF_RANGE = "coordinates_out_of_range"
    ANTIMERIDIAN = "antimeridian"
    AXES_SWAPPED = "axes_swapped"
    METRES_AS_DEGREES = "metres_as_degrees"
    PLACE_UNUSUAL = "place_unusual"
    LAYER_ELSEWHERE = "layer_elsewhere"
    OUTSIDE_EXTENT = "outside_extent"
    CRS_SUSPECTED = "crs_suspected"
    CELLS_MOVED = "cells_moved"
    # geometry of one cell
    GEOMETRY_MISSING = "geometry_missing"
    GEOMETRY_NOT_POLYGON = "geometry_not_polygon"
    GEOMETRY_EMPTY = "geometry_empty"
    RING_INVALID = "ring_invalid"
    SLIVER_CELL = "sliver_cell"
    VERTICES_MANY = "vertices_many"
    MULTI_PART = "multi_part"
    HOLES = "holes"
    PARTS_BESIDE = "parts_beside"
    # geometry between cells
    OVERLAP = "overlap"
    BORDER_NOT_SHARED = "border_not_shared"
    GAP = "gap"
    SLIVER = "sliver"


SENTENCES: dict[FaultCode, tuple[str, str]] = {
    FaultCode.FILE_EMPTY: ("文件是空的。", "The file is empty."),
    FaultCode.JSON_MALFORMED: (
        "文件不是有效的 JSON:{detail}。",
        "The file is not valid JSON: {detail}.",
    ),
    FaultCode.JSON_DUPLICATE_KEY: (
        "同一个对象里有两个“{key}”,不知道该用哪个。",
        "The key “{key}” stands twice in one object: which one counts?",
    ),
    FaultCode.NOT_A_FEATURE_COLLECTION: (
        "文件不是 GeoJSON 的 FeatureCollection。",
        "The file is not a GeoJSON FeatureCollection.",
    ),
    FaultCode.NO_CELLS: ("文件里没有网格。", "There are no cells."),
    FaultCode.CRS_MISSING: (
        "没有说明坐标系。请选择 WGS-84、CGCS2000、GCJ-02 或 BD-09;选错会偏移数百米。",
        "No coordinate system was declared. Choose WGS-84, CGCS2000, GCJ-02 or BD-09: they lie far apart.",
    ),
    FaultCode.CRS_UNKNOWN: (
        "不认识坐标系“{crs}”。请先转换成经纬度。",
        "The coordinate system “{crs}” is not known here. Convert the file to degrees first.",
    ),
    FaultCode.CRS_CONFLICT: (
        "文件自己写的坐标系是“{crs}”,与所选的“{declared}”不符。",
        "The file itself says “{crs}”, which is not the declared “{declared}”.",
    ),
    FaultCode.CODE_MISSING: ("{cells} 没有网格编码。", "{cells_en} has no cell code."),
    FaultCode.CODE_NOT_ALLOWED: (
        "{cells} 的“{field}”不能作编码:编码为 1 到 64 个字母、数字或 - _ . :,且不得是 outside。",
        "The `{field}` of {cells_en} cannot be a code: 1 to 64 letters, digits or - _ . :, and not outside.",
    ),
    FaultCode.CODE_FOREIGN: (
        "{count} 个网格的编码不以本区代码 {district} 开头,例如 {cells}。",
        "The codes of {count} cells do not begin with the district's own, {district}: {cells_en}, for one.",
    ),
    FaultCode.CODE_MALFORMED: (
        "{cells} 的编码不是 {scheme} 的 {digits} 位数字,无法推出上级。",
        "The code of {cells_en} is not one of {scheme}, {digits} digits, so its parents cannot be read from it.",
    ),
    FaultCode.CODE_DUPLICATE: (
        "编码 {cells} 出现了 {times} 次。",
        "The code {cells_en} occurs {times} times.",
    ),
    FaultCode.NAME_MISSING: (
        "{cells} 没有名称,暂用编码代替。",
        "{cells_en} has no name; its code stands in.",
    ),
    FaultCode.NAME_NOT_ALLOWED: (
        "{cells} 的“{field}”太长或含有控制字符。",
        "The `{field}` of {cells_en} is over 100 characters or holds control characters.",
    ),
    FaultCode.KIND_UNKNOWN: (
        "{cells} 的类别“{kind}”不认识,应为 basic 或 dedicated。",
        "The kind “{kind}” of {cells_en} is neither basic nor dedicated.",
    ),
    FaultCode.PARENT_MISSING: (
        "{cells} 没有写所属的上级。",
        "{cells_en} does not say which area it belongs to.",
    ),
    FaultCode.PARENT_UNKNOWN: (
        "{cells} 的上级 {parent} 不存在。",
        "The parent {parent} of {cells_en} does not exist.",
    ),
    FaultCode.PARENT_CONFLICT: (
        "区域 {area} 在不同网格里写了不同的上级:{parents}。",
        "The area {area} is given different parents by different cells: {parents}.",
    ),
    FaultCode.PARENT_LEVEL: (
        "{cells} 的上级 {parent} 层级不比它高。",
        "The parent {parent} of {cells_en} does not stand above it.",
    ),
    FaultCode.DISTRICT_NOT_ONE: (
        "最上级应只有一个区,现有 {count} 个:{areas}。",
        "There must be one district at the top, and there are {count}: {areas}.",
    ),
    FaultCode.COORDINATES_MALFORMED: (
        "{cells} 的坐标写法不对。",
        "The coordinates of {cells_en} are malformed.",
    ),
    FaultCode.COORDINATES_OUT_OF_RANGE: (
        "{cells} 的坐标超出经纬度范围。",
        "The coordinates of {cells_en} are outside the range of degrees.",
    ),
    FaultCode.AXES_SWAPPED: (
        "经度和纬度像是写反了(先纬度后经度)。",
        "Longitude and latitude look swapped (latitude first).",
    ),
    FaultCode.METRES_AS_DEGREES: (
        "坐标像是投影后的米,不是经纬度。请先转换。",
        "The coordinates look like projected metres, not degrees. Convert the file first.",
    ),
    FaultCode.PLACE_UNUSUAL: (
        "图层的中心在经度 {lon}、纬度 {lat},离国内常用的范围很远,请核对坐标。",
        "The middle of the layer is at longitude {lon}, latitude {lat}, far from where districts lie here.",
    ),
    FaultCode.LAYER_ELSEWHERE: (
        "整个图层不在本区:中心在 {lon}、{lat},上一版在 {old_lon}、{old_lat}。若错的是上一版,导入时加 elsewhere。",
        (
            "The whole layer lies elsewhere: around {lon}, {lat}; the last edition around {old_lon}, {old_lat}. "
            "If that one was wrong, import with `elsewhere`."
        ),
    ),
    FaultCode.OUTSIDE_EXTENT: (
        "{cells} 离上一版的范围很远。",
        "{cells_en} lies far outside of what the last edition covers.",
    ),
    FaultCode.CRS_SUSPECTED: (
        "按“{declared}”导入,与上一版相差约 {shift} 米;按“{crs}”只差 {rest} 米。坐标系可能选错了。",
        "As “{declared}” the cells lie about {shift} m off the last edition; as “{crs}” only {rest} m.",
    ),
    FaultCode.CELLS_MOVED: (
        "编码不变的网格与上一版相差约 {shift} 米(中位数),换坐标系也解释不了。",
        "Cells of the same codes lie about {shift} m (median) off the last edition, in no coordinate system nearer.",
    ),
    FaultCode.GEOMETRY_MISSING: ("{cells} 没有边界。", "{cells_en} has no geometry."),
    FaultCode.GEOMETRY_NOT_POLYGON: (
        "{cells} 的边界是 {type},不是面。",
        "The geometry of {cells_en} is a {type}, not a polygon.",
    ),
    FaultCode.GEOMETRY_EMPTY: ("{cells} 的边界是空的。", "The geometry of {cells_en} is empty."),
    FaultCode.RING_INVALID: (
        "{cells} 的边界自相交({reason})。",
        "The border of {cells_en} crosses or touches itself ({reason}).",
    ),
    FaultCode.OVERLAP: (
        "{cells} 互相重叠,最宽 {width} 米。",
        "{cells_en} overlap, {width} m at the widest.",
    ),
    FaultCode.BORDER_NOT_SHARED: (
        "{cells} 与邻格的公共边没有用同样的点。",
        "{cells_en} and a neighbour draw their common border with different points.",
    ),
    FaultCode.GAP: (
        "{cells} 之间有 {area} 平方米没有划入任何网格。",
        "Between {cells_en} lie {area} m² that belong to no cell.",
    ),
    FaultCode.SLIVER: (
        "{cells} 之间有不到 {width} 米宽的缝。",
        "Between {cells_en} runs a gap less than {width} m wide.",
    ),
    FaultCode.CELLS_TOO_MANY: (
        "文件里有 {count} 个网格,最多 {most} 个。",
        "There are {count} cells; at most {most} can be taken.",
    ),
    FaultCode.ARCHIVE_BROKEN: (
        "压缩包损坏,无法解开。请重新打包成普通的 zip。",
        "The archive is broken. Pack it again as a plain zip file.",
    ),
    FaultCode.ARCHIVE_LOCKED: (
        "压缩包加了密码,请去掉密码。",
        "The archive is locked with a password; take it off.",
    ),
    FaultCode.ARCHIVE_PATHS: (
        "压缩包里的文件名“{name}”指向包外,不予读取。",
        "The name “{name}” in the archive leads out of it.",
    ),
    FaultCode.ARCHIVE_TOO_LARGE: (
        "压缩包解开后超过 {megabytes} MB。",
        "Unpacked, the archive is larger than {megabytes} MB.",
    ),
    FaultCode.ARCHIVE_TOO_MANY: (
        "压缩包里的文件超过 {most} 个。",
        "There are more than {most} files in the archive.",
    ),
    FaultCode.ARCHIVE_WITHOUT_LAYER: (
        "压缩包里没有 .shp,也没有 .kml。",
        "There is no .shp and no .kml in the archive.",
    ),
    FaultCode.ARCHIVE_SEVERAL_LAYERS: (
        "压缩包里有几个图层({names}),请只放一个。",
        "There are several layers in the archive ({names}): leave one.",
    ),
    FaultCode.SHAPEFILE_PART_MISSING: (
        "压缩包里缺少 {part} 文件。",
        "The file {part} is missing in the archive.",
    ),
    FaultCode.SHAPEFILE_TRUNCATED: (
        "{part} 文件不完整,后面的内容丢了。请重新导出。",
        "The file {part} ends too early. Export it again.",
    ),
    FaultCode.SHAPEFILE_BROKEN: (
        "{part} 文件的内容无法识别。",
        "The file {part} cannot be understood.",
    ),
    FaultCode.SHAPEFILE_COUNTS: (
        ".shp 里有 {shapes} 个图形,.dbf 里有 {records} 条记录,对不上。",
        "There are {shapes} shapes in the .shp and {records} records in the .dbf.",
    ),
    FaultCode.ENCODING_WRONG: (
        "文字按 {encoding} 解不开。请选择正确的编码,常见的是 gb18030(GBK)或 utf-8。",
        "The text is not in {encoding}. Choose its encoding: mostly gb18030 (GBK) or utf-8.",
    ),
    FaultCode.ENCODING_UNKNOWN: (
        "不认识编码“{encoding}”,可选:{known}。",
        "The encoding “{encoding}” is not known here; known are {known}.",
    ),
    FaultCode.ENCODING_GUESSED: (
        "文件没有说明文字编码,按 {encoding} 读取。请核对名称有没有乱码。",
        "The file does not say how its text is encoded; it was read as {encoding}. Look at the names.",
    ),
    FaultCode.XML_MALFORMED: (
        "文件不是有效的 XML:{detail}。",
        "The file is not valid XML: {detail}.",
    ),
    FaultCode.XML_FORBIDDEN: (
        "文件里有 DTD 或实体声明,不予读取。",
        "The file declares a DTD or entities, which are not read.",
    ),
    FaultCode.XML_TOO_LARGE: (
        "XML 嵌套过深,或一个地标里的内容过多。",
        "The XML is nested too deeply, or one placemark holds too much.",
    ),
    FaultCode.NOT_KML: ("文件不是 KML。", "The file is not KML."),
    FaultCode.CODE_NOT_OF_PARENT: (
        "{cells} 的编码不以上级 {parent} 的编码开头。",
        "The code of {cells_en} does not begin with that of its parent, {parent}.",
    ),
    FaultCode.AREA_WITHOUT_CELLS: (
        "上级 {area} 画了边界,但没有网格属于它。",
        "The area {area} has an outline and no cells.",
    ),
    FaultCode.OUTSIDE_PARENT: (
        "{cells} 有 {area} 平方米在上级 {parent} 的边界以外,最宽 {width} 米。",
        "{area} m² of {cells_en} lie outside of {parent}, {width} m at the widest.",
    ),
    FaultCode.ANTIMERIDIAN: (
        "{cells} 横跨 180 度经线,或东西颠倒。请在经线处分开。",
        "{cells_en} crosses the meridian of 180 degrees. Cut it there.",
    ),
    FaultCode.SLIVER_CELL: (
        "{cells} 细得不像网格:{area} 平方米,最宽 {width} 米。",
        "{cells_en} is too thin to be meant: {area} m², {width} m at the widest.",
    ),
    FaultCode.VERTICES_MANY: (
        "{cells} 的边界有 {count} 个点,手机要下载这些点。请先简化。",
        "The border of {cells_en} has {count} points, which phones must download. Simplify it.",
    ),
    FaultCode.MULTI_PART: (
        "{cells} 由互不相连的 {count} 块组成。",
        "{cells_en} consists of {count} pieces.",
    ),
    FaultCode.HOLES: ("{cells} 中间有 {count} 个洞。", "{cells_en} has holes in it: {count}."),
    FaultCode.PARTS_BESIDE: (
        "{cells} 除了面还有点或线,已略去。",
        "{cells_en} has points or lines beside its polygons, which were left out.",
    ),
}
